//! Founding: what storage nodes tell each other before there is a cluster.
//!
//! ```text
//! empty node --[Announcement, belongs to none]--> catena.founding   (until there is a cluster)
//! any other  --[Announcement, belongs to one]---> catena.founding   (in answer to that)
//! ```
//!
//! Nothing is decided here: the record in the bucket of the cluster's identity decides.

use crate::id::ClusterId;
use crate::placement::Member;
use minicbor::{Decode, Encode};

/// One storage node, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// Who.
    #[n(0)]
    pub member: Member,
    /// The cluster that it belongs to; none: it is empty and wants to found one.
    #[n(1)]
    pub cluster: Option<ClusterId>,
    /// The cluster that it has, or that it was told to found.
    #[n(2)]
    pub plan: Plan,
}

/// What a cluster is to be like. Founders must agree on all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Plan {
    /// Number of founding nodes.
    #[n(0)]
    pub size: u8,
    /// Number of partitions.
    #[n(1)]
    pub partitions: u16,
    /// Copies of each partition.
    #[n(2)]
    pub replicas: u8,
}
