//! Every subject, built and parsed here and nowhere else.
//!
//! The first token is the cluster's prefix, so that several clusters can share an account.

use crate::id::{IdError, Name, NodeId};
use std::fmt;

/// Where answers go. Whoever sends many batches of requests to one place tells them apart by reply
/// subjects that end in `.turn.<n>`, for the case that the server says that nobody is there. Real
/// answers go to `....turn`: so those to several batches can be one message.
pub fn answers_to(reply: &str) -> &str {
    match reply.rsplit_once('.') {
        Some((answers, _)) if answers.ends_with(".turn") => answers,
        _ => reply,
    }
}

/// The three kinds of service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Plans jobs.
    Scheduler,
    /// Runs operators.
    Worker,
    /// Keeps records.
    Storage,
}

impl Role {
    /// As a subject token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
            Self::Storage => "storage",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request on a job's subject asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobVerb {
    /// Where it stands.
    Status,
    /// Its result, once there is one.
    Result,
}

/// What a request on the store's edge asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreVerb {
    /// The value of a key.
    Read,
    /// Replace the value.
    Write,
    /// Replace the value if it is the expected one.
    UpdateIfValueIs,
    /// Add to an integer.
    Add,
    /// Remove the key.
    Delete,
    /// List keys by prefix.
    Scan,
}

impl StoreVerb {
    /// Every verb, with its subject token.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Read, "read"),
        (Self::Write, "write"),
        (Self::UpdateIfValueIs, "update-if-value-is"),
        (Self::Add, "add"),
        (Self::Delete, "delete"),
        (Self::Scan, "scan"),
    ];

    /// The header in which a service operator is given the subject for it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Read => "Catena-Read",
            Self::Write => "Catena-Write",
            Self::UpdateIfValueIs => "Catena-Update-If-Value-Is",
            Self::Add => "Catena-Add",
            Self::Delete => "Catena-Delete",
            Self::Scan => "Catena-Scan",
        }
    }

    /// As a subject token.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(verb, _)| *verb == self).map_or("", |(_, name)| name)
    }
}

/// The chain name under which a chain given with the request itself is run.
pub const INLINE: &str = "inline";
/// Queue group of everything that any instance of a role may answer.
pub const QUEUE: &str = "catena";
/// Bucket of chain definitions.
pub const CHAINS: &str = "CATENA_CHAINS";
/// Bucket of service operator definitions.
pub const OPERATORS: &str = "CATENA_OPERATORS";
/// Bucket of the cluster's identity.
pub const CLUSTER: &str = "CATENA_CLUSTER";
/// Stream of submitted jobs.
pub const JOBS: &str = "CATENA_JOBS";

/// The subjects of one cluster.
#[derive(Clone, Debug)]
pub struct Subjects {
    prefix: Name,
}

impl Default for Subjects {
    fn default() -> Self {
        #[allow(clippy::expect_used, reason = "a constant")]
        let prefix = Name::new("catena").expect("a valid name");
        Self { prefix }
    }
}

impl Subjects {
    /// The subjects under `prefix`.
    ///
    /// # Errors
    /// If the prefix cannot be one token.
    pub fn new(prefix: &str) -> Result<Self, IdError> {
        Name::new(prefix).map(|prefix| Self { prefix })
    }

    /// The prefix itself.
    pub fn prefix(&self) -> &str {
        self.prefix.as_str()
    }

    /// A stream or bucket name of this cluster: the well-known one, unless the prefix is not
    /// `catena`; then the upper-cased prefix stands in place of `CATENA`.
    pub fn bucket(&self, well_known: &str) -> String {
        well_known.replacen("CATENA", &self.prefix.as_str().to_uppercase(), 1)
    }

    /// Request: run a chain and wait for its result. Schedulers, queue group.
    pub fn run(&self, chain: &str) -> String {
        format!("{}.run.{chain}", self.prefix)
    }

    /// Request: put a job on the durable queue. Schedulers, queue group.
    pub fn submit(&self, chain: &str) -> String {
        format!("{}.submit.{chain}", self.prefix)
    }

    /// The durable queue of a chain, in stream [`JOBS`].
    pub fn queue(&self, chain: &str) -> String {
        format!("{}.queue.{chain}", self.prefix)
    }

    /// Request about one job. Any scheduler, queue group.
    pub fn job(&self, id: &str, verb: JobVerb) -> String {
        let verb = match verb {
            JobVerb::Status => "status",
            JobVerb::Result => "result",
        };
        format!("{}.job.{id}.{verb}", self.prefix)
    }

    /// Request: check a chain definition and store it. Schedulers, queue group.
    pub fn chain_set(&self, chain: &str) -> String {
        format!("{}.chain.{chain}.set", self.prefix)
    }

    /// Request: define a service operator. Schedulers, queue group.
    pub fn operator_set(&self, operator: &str) -> String {
        format!("{}.operator.{operator}.set", self.prefix)
    }

    /// Request: the operators of the cluster, with their help. Schedulers, queue group.
    pub fn operators(&self) -> String {
        format!("{}.operators", self.prefix)
    }

    /// Publish: steps for one worker.
    pub fn step(&self, worker: &NodeId) -> String {
        format!("{}.worker.{worker}.step", self.prefix)
    }

    /// Request to one worker: are these settings right for this operator?
    pub fn check(&self, worker: &NodeId) -> String {
        format!("{}.worker.{worker}.check", self.prefix)
    }

    /// Publish: finished jobs for the scheduler that assigned them.
    pub fn finish(&self, scheduler: &NodeId) -> String {
        format!("{}.scheduler.{scheduler}.finish", self.prefix)
    }

    /// Request to one scheduler: the chain behind a content hash.
    pub fn chain_of(&self, scheduler: &NodeId) -> String {
        format!("{}.scheduler.{scheduler}.chain", self.prefix)
    }

    /// Request to all schedulers: who runs this job?
    pub fn owner(&self) -> String {
        format!("{}.scheduler.owner", self.prefix)
    }

    /// Publish: a service lives, and how loaded it is.
    pub fn heartbeat(&self, role: Role, id: &NodeId) -> String {
        format!("{}.heartbeat.{role}.{id}", self.prefix)
    }

    /// The heartbeats of all services of one role.
    pub fn heartbeats(&self, role: Role) -> String {
        format!("{}.heartbeat.{role}.*", self.prefix)
    }

    /// Request on the store's edge, text or JSON. Storage nodes, queue group.
    pub fn store(&self, verb: StoreVerb, key: &str) -> String {
        format!("{}.storage.{}.{key}", self.prefix, verb.as_str())
    }

    /// Request: the store as one step of a job sees it. The key follows, behind a dot. Only who
    /// is given the token can know the subject.
    pub fn snapshot(&self, worker: &NodeId, token: &str, verb: StoreVerb) -> String {
        format!("{}.snapshot.{worker}.{token}.{}", self.prefix, verb.as_str())
    }

    /// The requests to all steps of one worker.
    pub fn snapshots(&self, worker: &NodeId) -> String {
        format!("{}.snapshot.{worker}.>", self.prefix)
    }

    /// Request to the primary of a partition.
    pub fn primary(&self, partition: u16) -> String {
        format!("{}.partition.{partition}.primary", self.prefix)
    }

    /// Request to one storage node.
    pub fn node(&self, id: &NodeId) -> String {
        format!("{}.node.{id}", self.prefix)
    }

    /// Publish: what storage nodes tell one of them.
    pub fn peer(&self, id: &NodeId) -> String {
        format!("{}.node.{id}.peer", self.prefix)
    }

    /// Publish: where the replicas of every storage node stand.
    pub fn gossip(&self) -> String {
        format!("{}.gossip", self.prefix)
    }

    /// Publish: new log records, for the nodes of one replica set.
    pub fn gossip_set(&self, set: &str) -> String {
        format!("{}.gossip.{set}", self.prefix)
    }

    /// Request to a replica of a partition: reads at a snapshot. Storage nodes, queue group.
    pub fn replica(&self, partition: u16) -> String {
        format!("{}.partition.{partition}.replica", self.prefix)
    }

    /// Request: identity and number of partitions of the cluster. Storage nodes, queue group.
    pub fn cluster(&self) -> String {
        format!("{}.cluster", self.prefix)
    }

    /// Publish: storage nodes that are about to found a cluster, and what others say to that.
    pub fn founding(&self) -> String {
        format!("{}.founding", self.prefix)
    }

    /// Request to all storage nodes: how are you, and your replicas?
    pub fn cluster_status(&self) -> String {
        format!("{}.cluster.status", self.prefix)
    }

    /// Publish: one line of JSON for each state change of a job.
    pub fn event(&self, job: &str) -> String {
        format!("{}.event.job.{job}", self.prefix)
    }

    /// What stands behind the prefix and its dot, if `subject` is one of this cluster's.
    pub fn strip<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(self.prefix.as_str())?.strip_prefix('.')
    }

    /// The verb and key of a request on the store's edge.
    pub fn parse_store<'a>(&self, subject: &'a str) -> Option<(StoreVerb, &'a str)> {
        let (verb, key) = self.strip(subject)?.strip_prefix("storage.")?.split_once('.')?;
        let (verb, _) = StoreVerb::ALL.into_iter().find(|(_, name)| *name == verb)?;
        Some((verb, key))
    }

    /// The token, verb and key (which may be empty) of a request to a step; no verb: one that
    /// there is not.
    pub fn parse_snapshot<'a>(
        &self,
        subject: &'a str,
    ) -> Option<(&'a str, Option<StoreVerb>, &'a str)> {
        let (_, rest) = self.strip(subject)?.strip_prefix("snapshot.")?.split_once('.')?;
        let (token, rest) = rest.split_once('.')?;
        let (verb, key) = rest.split_once('.').unwrap_or((rest, ""));
        let verb = StoreVerb::ALL.into_iter().find(|(_, name)| *name == verb);
        Some((token, verb.map(|(verb, _)| verb), key))
    }

    /// The chain of `run.<chain>`, `submit.<chain>` or `queue.<chain>`, `chain.<chain>.set`,
    /// or the middle token of any other subject of three tokens behind the prefix.
    pub fn parse_middle<'a>(&self, subject: &'a str) -> Option<(&'a str, &'a str)> {
        let (kind, rest) = self.strip(subject)?.split_once('.')?;
        Some((kind, rest.split_once('.').map_or(rest, |(middle, _)| middle)))
    }

    /// The id and verb of a request about a job.
    pub fn parse_job<'a>(&self, subject: &'a str) -> Option<(&'a str, &'a str)> {
        self.strip(subject)?.strip_prefix("job.")?.split_once('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_subjects_come_back_as_they_went() {
        let subjects = Subjects::default();
        for (verb, _) in StoreVerb::ALL {
            let subject = subjects.store(verb, "a.b.{c}");
            assert_eq!(subjects.parse_store(&subject), Some((verb, "a.b.{c}")));
        }
        assert_eq!(subjects.parse_store("catena.storage.nope.a"), None);
        assert_eq!(subjects.parse_store("other.storage.read.a"), None);
    }

    #[test]
    fn snapshot_subjects_come_back_as_they_went() {
        let subjects = Subjects::default();
        let worker = NodeId::new("worker-1").unwrap();
        for (verb, _) in StoreVerb::ALL {
            let subject = subjects.snapshot(&worker, "t0", verb);
            assert_eq!(subjects.parse_snapshot(&subject), Some(("t0", Some(verb), "")));
            let subject = format!("{subject}.a.b");
            assert_eq!(subjects.parse_snapshot(&subject), Some(("t0", Some(verb), "a.b")));
            assert_eq!(subjects.parse_store(&subject), None);
        }
        let nope = subjects.parse_snapshot("catena.snapshot.worker-1.t0.nope.a");
        assert_eq!(nope, Some(("t0", None, "a")));
        assert_eq!(subjects.parse_snapshot("catena.snapshot.worker-1"), None);
    }

    #[test]
    fn middles_are_found() {
        let subjects = Subjects::default();
        assert_eq!(subjects.parse_middle("catena.run.shout"), Some(("run", "shout")));
        assert_eq!(subjects.parse_middle("catena.chain.shout.set"), Some(("chain", "shout")));
        assert_eq!(subjects.parse_job("catena.job.x.status"), Some(("x", "status")));
    }

    #[test]
    fn another_prefix_has_its_own_buckets() {
        let staging = Subjects::new("staging").unwrap();
        assert_eq!(staging.bucket(CHAINS), "STAGING_CHAINS");
        assert_eq!(Subjects::default().bucket(CHAINS), CHAINS);
    }
}
