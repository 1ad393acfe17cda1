//! `catena storage`

use super::service_flags::ServiceFlags;
use crate::failure::Failure;
use catena_link::Settings;
use catena_protocol::{NodeId, limit};
use catena_storage::{Config, Founders};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a storage node until SIGTERM.
///
/// With an empty folder it founds a cluster, alone or with as many others as it is told, or takes
/// its place in the one that is there. What a cluster was founded with is fixed for its life.
#[derive(Debug, Args)]
pub(crate) struct Storage {
    #[command(flatten)]
    flags: ServiceFlags,

    /// Folder for its data; only one process can use it at a time
    #[arg(long, env = "CATENA_DATA", value_name = "FOLDER")]
    data: PathBuf,

    /// Number of partitions of a new cluster; fixed for its life
    #[arg(long, env = "CATENA_PARTITIONS", default_value_t = limit::PARTITIONS)]
    partitions: u16,

    /// Number of storage nodes that found a new cluster: the first that come; default: 1
    #[arg(long, env = "CATENA_CLUSTER_SIZE", value_name = "N", conflicts_with = "members")]
    cluster_size: Option<usize>,

    /// Ids of the storage nodes that found a new cluster, `--id` among them, as in a,b,c
    #[arg(long, env = "CATENA_MEMBERS", value_name = "IDS", value_delimiter = ',')]
    members: Vec<NodeId>,

    /// Copies of each partition of a new cluster: 1, 3 or 5; default: 3, or 1 with fewer nodes
    #[arg(long, env = "CATENA_REPLICAS", value_name = "N")]
    replicas: Option<u8>,
}

impl Storage {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        self.flags.apply()?;
        let shutdown = catena_service::on_signals();
        catena_storage::run(self.config(), settings, shutdown).await.map_err(Failure::new)?;
        Ok(ExitCode::SUCCESS)
    }

    fn config(self) -> Config {
        let founders = match self.cluster_size {
            Some(size) => Some(Founders::Count(size)),
            None if self.members.is_empty() => None,
            None => Some(Founders::Named(self.members)),
        };
        Config {
            id: self.flags.id,
            partitions: self.partitions,
            founders,
            replicas: self.replicas,
            ..Config::new(self.data)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        storage: Storage,
    }

    fn config(flags: &str) -> Result<Config, String> {
        let words = ["storage", "--data", "folder"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(line.storage.config())
    }

    fn ids(ids: &[&str]) -> Vec<NodeId> {
        ids.iter().map(|id| NodeId::new(id).unwrap()).collect()
    }

    #[test]
    fn founders_are_counted_or_named() {
        let plain = config("").unwrap();
        assert_eq!((plain.founders, plain.replicas), (None, None));
        let counted = config("--cluster-size 3 --replicas 1").unwrap();
        assert_eq!((counted.founders, counted.replicas), (Some(Founders::Count(3)), Some(1)));
        let named = config("--id b --members a,b,c --partitions 8").unwrap();
        assert_eq!(named.founders, Some(Founders::Named(ids(&["a", "b", "c"]))));
        assert_eq!((named.id, named.partitions), (ids(&["b"]).pop(), 8));
    }

    #[test]
    fn flags_that_make_no_sense_are_refused() {
        for (flags, part) in [
            ("--cluster-size 3 --members a,b,c", "cannot be used with"),
            ("--members a,b.c", "is not a name"),
            ("--members a,,c", "is not a name"),
            ("--cluster-size three", "invalid"),
            ("--replicas 300", "300"),
        ] {
            let error = config(flags).unwrap_err();
            assert!(error.contains(part), "{flags}: {error}");
        }
    }
}
