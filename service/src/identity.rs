//! Who a service is.

use catena_protocol::NodeId;
use catena_protocol::subject::Role;

/// Who a service is, for discovery and heartbeats.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What it does.
    pub role: Role,
    /// Its id, unique among all services of its role.
    pub id: NodeId,
    /// Random, new at each start.
    pub boot: u64,
}

impl Identity {
    /// A service with the given id, or with one made of its role and a random number.
    pub fn new(role: Role, id: Option<NodeId>) -> Self {
        let boot = rand::random();
        let id = id.unwrap_or_else(|| random_id(role, boot));
        Self { role, id, boot }
    }

    /// The name of this service in NATS discovery: `catena-worker` and so on.
    pub fn service_name(&self) -> String {
        format!("catena-{}", self.role)
    }

    /// The name of its connection, as `nats server report connections` shows it.
    pub fn connection_name(&self) -> String {
        format!("catena-{}/{}", self.role, self.id)
    }
}

#[allow(clippy::expect_used, reason = "role and hexadecimal digits always make a short name")]
fn random_id(role: Role, boot: u64) -> NodeId {
    NodeId::new(format!("{role}-{:08x}", boot as u32)).expect("a valid id")
}

/// The name of this host, for discovery metadata and health checks in containers.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}
