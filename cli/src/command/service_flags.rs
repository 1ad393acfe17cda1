//! Flags that all services have.

use crate::failure::Failure;
use catena_protocol::NodeId;
use clap::Args;
use std::net::SocketAddr;

/// Flags that all services have.
#[derive(Debug, Args)]
pub(crate) struct ServiceFlags {
    /// Id of this service, unique among those of its role; default: random
    #[arg(long, env = "CATENA_ID")]
    pub(crate) id: Option<NodeId>,

    /// Serve Prometheus metrics on this address, as in 127.0.0.1:9464; default: nowhere
    #[arg(long, env = "CATENA_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
}

impl ServiceFlags {
    /// Starts what the flags ask for.
    pub(crate) fn apply(&self) -> Result<(), Failure> {
        if let Some(address) = self.metrics_listen {
            catena_service::init_metrics(address)?;
        }
        Ok(())
    }
}
