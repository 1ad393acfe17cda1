//! What happens in a run: the cluster, its load and its faults, chosen by chance from the seed.
//!
//! Each seed has a random subset of the kinds of faults, each at a random rate (swarm testing,
//! Groce et al. 2012): together they would hide what one of them alone shows.

use catena_storage::machine::Bug;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What happens in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of everything.
    pub seed: u64,
    /// Simulated time with faults, in microseconds.
    pub faults_us: u64,
    /// Simulated time afterwards, in which everything must recover, in microseconds.
    pub heal_us: u64,
    /// Operations of all clients together, about.
    pub operations: u64,
    /// A known bug that is put back.
    pub bug: Option<Bug>,
    pub(crate) nodes: usize,
    pub(crate) partitions: u16,
    pub(crate) clients: u64,
    pub(crate) keys: u64,
    pub(crate) tail_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) network: Network,
    pub(crate) disk_us: (u64, u64),
    /// Mean time between two faults of one kind, in microseconds; 0: never.
    pub(crate) every: Every,
    /// Most difference of wall clocks from real time, in microseconds.
    pub(crate) skew_us: u64,
    /// Most difference of the rate of monotonic clocks, in millionths.
    pub(crate) drift_ppm: i64,
}

/// How messages travel.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) latency_us: (u64, u64),
    /// Of a million messages so many take up to this long.
    pub(crate) slow_ppm: u32,
    pub(crate) slow_us: u64,
    pub(crate) lost_ppm: u32,
    pub(crate) twice_ppm: u32,
}

/// Mean times between faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Every {
    pub(crate) kill: u64,
    pub(crate) power_cut: u64,
    pub(crate) pause: u64,
    pub(crate) cut_in: u64,
    pub(crate) cut_out: u64,
    pub(crate) cut_both: u64,
    pub(crate) cut_all: u64,
    pub(crate) slow_consumer: u64,
    pub(crate) wall_jump: u64,
    pub(crate) wall_stop: u64,
    pub(crate) sync_error: u64,
    pub(crate) disk_full: u64,
    pub(crate) wipe: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x0063_6174_656e_6121);
        let nodes = *[3, 3, 3, 3, 3, 5, 5, 1].get(rng.random_range(0..8)).unwrap_or(&3);
        let mut every = Every::default();
        let fault = |rng: &mut StdRng, from_ms: u64, to_ms: u64| {
            if rng.random_bool(0.4) { 1_000 * rng.random_range(from_ms..to_ms) } else { 0 }
        };
        every.kill = fault(&mut rng, 2_000, 15_000);
        every.power_cut = fault(&mut rng, 2_000, 15_000);
        every.pause = fault(&mut rng, 1_000, 10_000);
        every.cut_in = fault(&mut rng, 2_000, 12_000);
        every.cut_out = fault(&mut rng, 2_000, 12_000);
        every.cut_both = fault(&mut rng, 2_000, 12_000);
        every.cut_all = fault(&mut rng, 8_000, 30_000);
        every.slow_consumer = fault(&mut rng, 2_000, 10_000);
        every.wall_jump = fault(&mut rng, 2_000, 15_000);
        every.wall_stop = fault(&mut rng, 5_000, 20_000);
        every.sync_error = fault(&mut rng, 5_000, 20_000);
        every.disk_full = fault(&mut rng, 8_000, 30_000);
        every.wipe = fault(&mut rng, 10_000, 30_000);
        let often = |rng: &mut StdRng, most: u32| {
            if rng.random_bool(0.5) { rng.random_range(0..most) } else { 0 }
        };
        let network = Network {
            latency_us: (50, rng.random_range(60..2_000)),
            slow_ppm: often(&mut rng, 50_000),
            slow_us: rng.random_range(1_000..400_000),
            lost_ppm: often(&mut rng, 80_000),
            twice_ppm: often(&mut rng, 50_000),
        };
        Self {
            seed,
            faults_us: 60_000_000,
            heal_us: 20_000_000,
            operations: 600,
            bug: None,
            nodes,
            partitions: rng.random_range(1..=3),
            clients: rng.random_range(3..=8),
            keys: rng.random_range(2..=6),
            tail_bytes: *[400, 4_000, 1_000_000].get(rng.random_range(0..3)).unwrap_or(&4_000),
            segment_bytes: rng.random_range(1_000..16_000),
            network,
            disk_us: (100, rng.random_range(200..20_000)),
            every,
            skew_us: if rng.random_bool(0.5) { rng.random_range(0..200_000) } else { 0 },
            drift_ppm: rng.random_range(0..20_000),
        }
    }
}
