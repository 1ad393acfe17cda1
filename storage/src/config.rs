//! Settings of a storage node.

use crate::error::Error;
use crate::machine;
use catena_protocol::message::founding::Plan;
use catena_protocol::{NodeId, limit};
use std::path::PathBuf;

/// Settings of a storage node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id, unique among storage nodes; default: made of the id of its data directory. Fixed
    /// with the data directory: opening it under another id is refused.
    pub id: Option<NodeId>,
    /// Where everything is kept. One process at a time; made if it is not there.
    pub data: PathBuf,
    /// Number of partitions of a cluster that is begun here. Fixed for the life of the cluster:
    /// opening a data directory that was begun with another number is refused.
    pub partitions: u16,
    /// Who founds the cluster; default: this node alone. Fixed for the life of the cluster; none
    /// asks nothing of a cluster that is there.
    pub founders: Option<Founders>,
    /// Copies of each partition: 1, 3 or 5, at most one per founder; default: 3 where there are
    /// as many founders, else 1. Fixed for the life of the cluster; none asks nothing of a
    /// cluster that is there.
    pub replicas: Option<u8>,
    /// How long old versions are kept at least, in milliseconds: longer where a chain is defined
    /// whose deadline, plus [`limit::RETENTION_MARGIN_MS`], is longer. A job whose snapshot is
    /// older is started again; more costs disk. Default: 5 minutes and the margin.
    pub retention_ms: u64,
    /// Most jobs that are about to write in one partition; more are answered 429. Default: 16,384.
    pub intents: usize,
}

/// The storage nodes that found a cluster together, at most [`limit::FOUNDERS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founders {
    /// The first so many that announce themselves.
    Count(usize),
    /// Exactly these, this one among them.
    Named(Vec<NodeId>),
}

impl Config {
    /// Defaults, with everything kept in `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            id: None,
            data: data.into(),
            partitions: limit::PARTITIONS,
            founders: None,
            replicas: None,
            retention_ms: machine::Settings::default().retention_ms,
            intents: machine::Settings::default().intents,
        }
    }

    /// What a cluster that is founded with these settings is like.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        if self.partitions == 0 {
            return Err(Error::NoPartitions);
        }
        let size = match &self.founders {
            None => 1,
            Some(Founders::Count(size)) => *size,
            Some(Founders::Named(names)) => self.check_names(names)?,
        };
        let size = u8::try_from(size).ok().filter(|size| (1..=MOST).contains(size));
        let size = size.ok_or(Error::Size)?;
        let replicas = self.replicas.unwrap_or(if size < 3 { 1 } else { 3 });
        if ![1, 3, 5].contains(&replicas) || replicas > size {
            return Err(Error::Replicas { replicas, size });
        }
        Ok(Plan { size, partitions: self.partitions, replicas })
    }

    fn check_names(&self, names: &[NodeId]) -> Result<usize, Error> {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::NamedTwice { node: pair[0].clone() });
        }
        if !self.id.as_ref().is_some_and(|id| names.contains(id)) {
            return Err(Error::NotNamed { node: self.id.clone(), founders: listed(names) });
        }
        Ok(names.len())
    }
}

const MOST: u8 = limit::FOUNDERS as u8;

/// Ids for people.
pub(crate) fn listed<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn founders(ids: &[&str]) -> Option<Founders> {
        Some(Founders::Named(ids.iter().map(|id| NodeId::new(id).unwrap()).collect()))
    }

    fn plan(change: impl FnOnce(&mut Config)) -> Result<(u8, u8), Error> {
        let mut config = Config::new("data");
        config.id = Some(NodeId::new("b").unwrap());
        change(&mut config);
        config.plan().map(|plan| (plan.size, plan.replicas))
    }

    #[test]
    fn three_replicas_where_there_are_three_founders_else_one() {
        assert_eq!(plan(|_| ()).unwrap(), (1, 1));
        for (size, replicas) in [(1, 1), (2, 1), (3, 3), (4, 3), (9, 3), (64, 3)] {
            let counted = plan(|config| config.founders = Some(Founders::Count(size)));
            assert_eq!(counted.unwrap(), (size as u8, replicas));
        }
        assert_eq!(plan(|config| config.founders = founders(&["a", "b", "c"])).unwrap(), (3, 3));
        let five = plan(|config| {
            config.founders = Some(Founders::Count(5));
            config.replicas = Some(5);
        });
        assert_eq!(five.unwrap(), (5, 5));
    }

    #[test]
    fn impossible_clusters_are_refused() {
        for size in [0, 65, 256 + 3] {
            let refused = plan(|config| config.founders = Some(Founders::Count(size)));
            assert!(matches!(refused, Err(Error::Size)), "{size}");
        }
        for (size, replicas) in [(1, 3), (2, 3), (4, 5), (3, 2), (3, 0), (9, 7)] {
            let refused = plan(|config| {
                config.founders = Some(Founders::Count(size));
                config.replicas = Some(replicas);
            });
            assert!(matches!(refused, Err(Error::Replicas { .. })), "{size} {replicas}");
        }
        let refused = plan(|config| config.founders = founders(&["b", "a", "b"]));
        assert!(matches!(refused, Err(Error::NamedTwice { node }) if node.as_str() == "b"));
        let refused = plan(|config| config.founders = founders(&["a", "c"]));
        assert!(matches!(refused, Err(Error::NotNamed { node: Some(_), .. })));
        let refused = plan(|config| {
            config.founders = founders(&["a", "b"]);
            config.id = None;
        });
        assert!(matches!(refused, Err(Error::NotNamed { node: None, .. })));
        let refused = plan(|config| config.partitions = 0);
        assert!(matches!(refused, Err(Error::NoPartitions)));
    }
}
