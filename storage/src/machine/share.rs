//! What a job does, by partition.

use super::conflict::partitions_under;
use catena_protocol::chain::Isolation;
use catena_protocol::message::commit::{Commit, End};
use catena_protocol::message::handoff::Effects;
use std::collections::BTreeMap;

/// What a job does in each partition that it touches.
pub(super) type Shares = BTreeMap<u16, Effects>;

/// Takes the effects of a commit apart. Reads count where they must still hold; nothing counts
/// where the job does not end well.
pub(super) fn shares(commit: &mut Commit, partitions: u16) -> Shares {
    let effects = std::mem::take(&mut commit.effects);
    let mut shares = Shares::new();
    if !matches!(commit.end, End::Committed(_)) || commit.isolation == Isolation::Latest {
        return shares;
    }
    for mutation in effects.writes {
        let number = mutation.key.partition(partitions);
        shares.entry(number).or_default().writes.push(mutation);
    }
    if commit.isolation != Isolation::Serializable {
        return shares;
    }
    for key in effects.reads {
        shares.entry(key.partition(partitions)).or_default().reads.push(key);
    }
    for prefix in effects.scans {
        for number in partitions_under(prefix.as_str(), partitions) {
            shares.entry(number).or_default().scans.push(prefix.clone());
        }
    }
    shares
}
