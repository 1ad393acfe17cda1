//! How much may happen in what is explored.

use crate::property::Property;
use catena_storage::machine::Bug;

/// What may happen, and how often. Deliveries, losses and syncs have no bound of their own: they
/// end when nobody does anything new.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Where a node knows of a higher epoch, nothing is followed further.
    pub epochs: u64,
    /// Writes of one record, each at a node that believes to lead.
    pub writes: u8,
    /// Reads at a snapshot ahead of the clocks, each at a node that believes to lead.
    pub reads: u8,
    /// How often each node loses patience.
    pub time_outs: [u8; 3],
    /// How often each node loses power and starts again.
    pub crashes: [u8; 3],
    /// How often a primary says where it stands without being asked.
    pub beats: u8,
    /// Whether digests arrive; else all of them are lost.
    pub gossip: bool,
    /// Whether a node lives long enough for its disk: what it appends is durable before anything
    /// else happens to it. Its messages from before are on their way all the same.
    pub prompt_disk: bool,
    /// How often a primary hands over.
    pub retirements: u8,
    /// Most states that are visited. A million take about 2 GB.
    pub states: usize,
    /// Which properties are checked.
    pub properties: Vec<Property>,
    /// A mistake that was put back.
    pub bug: Option<Bug>,
}

impl Default for Bounds {
    /// Nothing happens, everything is checked.
    fn default() -> Self {
        Self {
            epochs: 2,
            writes: 0,
            reads: 0,
            time_outs: [0; 3],
            crashes: [0; 3],
            beats: 0,
            gossip: true,
            prompt_disk: false,
            retirements: 0,
            states: 4_000_000,
            properties: Property::LOG.to_vec(),
            bug: None,
        }
    }
}
