//! How much may happen in what is explored.

use crate::property::Property;
use catena_storage::machine::Bug;

/// What may happen, and how often. Deliveries, losses and syncs have no bound of their own: they
/// end when nobody does anything new. Of two numbers the first is of the home.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How often each attempt asks to be committed.
    pub asks: [u8; 2],
    /// How often so much time passes on a node that it does again what it does now and then.
    pub beats: [u8; 2],
    /// How often so much passes on the home that it gives up what it has not decided.
    pub give_ups: u8,
    /// How often each node loses power and starts again.
    pub crashes: [u8; 2],
    /// How often a message arrives that will arrive again.
    pub repeats: u8,
    /// How often somebody else writes the record in the other partition.
    pub writes: u8,
    /// Whether a node lives long enough for its disk: what it appends is durable before anything
    /// else happens to it.
    pub prompt_disk: bool,
    /// Most states that are visited.
    pub states: usize,
    /// Which properties are checked.
    pub properties: Vec<Property>,
    /// A mistake that was put back.
    pub bug: Option<Bug>,
}

impl Default for Bounds {
    /// Each attempt asks once, and nothing goes wrong.
    fn default() -> Self {
        Self {
            asks: [1, 1],
            beats: [0; 2],
            give_ups: 0,
            crashes: [0; 2],
            repeats: 0,
            writes: 0,
            prompt_disk: false,
            states: 4_000_000,
            properties: Property::COMMIT.to_vec(),
            bug: None,
        }
    }
}
