//! What clients do while the cluster is broken.

use std::str::FromStr;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Reads, writes, updates and additions of single keys.
    Store,
    /// Jobs: transfers between accounts, orders of a shop, appends to lists.
    Jobs,
    /// Both at once.
    All,
}

/// No workload has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no workload; nothing was started; name one of: store, jobs, all")]
pub struct UnknownWorkload(String);

impl Workload {
    pub(crate) const fn has_store(self) -> bool {
        matches!(self, Self::Store | Self::All)
    }

    pub(crate) const fn has_jobs(self) -> bool {
        matches!(self, Self::Jobs | Self::All)
    }
}

impl FromStr for Workload {
    type Err = UnknownWorkload;

    fn from_str(name: &str) -> Result<Self, UnknownWorkload> {
        match name {
            "store" => Ok(Self::Store),
            "jobs" => Ok(Self::Jobs),
            "all" => Ok(Self::All),
            _ => Err(UnknownWorkload(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_has_what_its_name_says() {
        let has = |name: &str| name.parse().map(|one: Workload| (one.has_store(), one.has_jobs()));
        assert_eq!(has("store"), Ok((true, false)));
        assert_eq!(has("jobs"), Ok((false, true)));
        assert_eq!(has("all"), Ok((true, true)));
        assert!(has("bank").unwrap_err().to_string().contains("`bank`"));
    }
}
