//! What happens in a run: the cluster, its load and its faults, chosen by chance from the seed.
//!
//! Each seed has a random subset of the kinds of faults, each at a random rate (swarm testing,
//! Groce et al. 2012): together they would hide what one of them alone shows.

use crate::fault::FaultKind;
use crate::platform::Slip;
use catena_storage::machine::Bug;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

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
    /// Jobs of all clients together, about.
    pub jobs: u64,
    /// A known bug that is put back.
    pub bug: Option<Bug>,
    /// A known mistake of the platform that is put back.
    pub slip: Option<Slip>,
    /// Of a hundred jobs so many go through schedulers and workers; none: there are no such.
    pub(crate) through_platform: u32,
    /// Of a hundred of these so many go through the durable queue.
    pub(crate) queued: u32,
    /// As `every`, for faults of schedulers, workers and the connections of clients.
    pub(crate) every_platform: BTreeMap<FaultKind, u64>,
    /// Of a hundred jobs so many are promised a snapshot only, the others a serial order.
    pub(crate) of_snapshot: u32,
    /// Jobs do nothing but append to one list, each runs once at a time, and whoever loses must
    /// get its turn: for runs in which nothing fails.
    pub(crate) hot: bool,
    /// When the first jobs begin, in microseconds.
    pub(crate) jobs_from_us: u64,
    pub(crate) nodes: usize,
    pub(crate) replicas: usize,
    pub(crate) partitions: u16,
    pub(crate) load: Load,
    pub(crate) tail_bytes: usize,
    pub(crate) message_bytes: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) retention_ms: u64,
    pub(crate) apply_bytes: usize,
    pub(crate) apply_ms: u64,
    /// Most bytes of records that a node keeps for its state.
    pub(crate) pending_bytes: usize,
    /// Most transactions that are open in one partition.
    pub(crate) intents: usize,
    /// How long the state takes for a batch, in microseconds.
    pub(crate) state_us: (u64, u64),
    pub(crate) network: Network,
    pub(crate) disk_us: (u64, u64),
    /// Mean times between faults, in microseconds; those that are missing never happen.
    pub(crate) every: BTreeMap<FaultKind, u64>,
    /// Of a hundred faults so many hit somebody who leads.
    pub(crate) at_primary: u32,
    /// Of a hundred nodes that come to lead so many are hit right after.
    pub(crate) after_win: u32,
    /// How long a machine is off, in microseconds.
    pub(crate) off_us: (u64, u64),
    /// How long a passing fault lasts, in microseconds.
    pub(crate) lasts_us: (u64, u64),
    /// Most difference of wall clocks from real time, in microseconds.
    pub(crate) skew_us: u64,
    /// Most difference of the rate of monotonic clocks, in millionths.
    pub(crate) drift_ppm: i64,
}

/// What clients do.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) clients: u64,
    pub(crate) keys: u64,
    /// Records of jobs.
    pub(crate) accounts: u64,
    pub(crate) lists: u64,
    pub(crate) shelves: u64,
    /// Of a hundred operations so many read the present, or a snapshot, or delete.
    pub(crate) reads: u32,
    pub(crate) snapshots: u32,
    pub(crate) deletes: u32,
    /// Snapshots lie up to this far in the future, in microseconds: clocks of clients differ, too.
    pub(crate) ahead_us: u64,
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

/// Most times that messages take, in microseconds: one machine, one room, one country, one
/// continent.
const LATENCY_US: [u64; 6] = [200, 200, 2_000, 2_000, 15_000, 80_000];
/// Messages that carry a few records each make sense only where a round trip is short: otherwise
/// nobody would ever catch up.
const SHORT_US: u64 = 2_000;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x0063_6174_656e_6121);
        let rng = &mut rng;
        let mut of_platform = StdRng::seed_from_u64(seed ^ 0x0070_6c61_7466_6f72);
        let of_platform = &mut of_platform;
        let mut of_limits = StdRng::seed_from_u64(seed ^ 0x006c_696d_6974_7321);
        let of_limits = &mut of_limits;
        let nodes = one_of(rng, &[3, 3, 3, 3, 5, 5, 5, 1]);
        let replicas = if nodes == 1 { 1 } else { one_of(rng, &[3, 3, 3, 3, 5, 5, 1]) };
        let latency = one_of(rng, &LATENCY_US);
        let message_bytes = match latency <= SHORT_US {
            true => one_of(rng, &[256 * 1024, 256 * 1024, 4_000, 400]),
            false => 256 * 1024,
        };
        let apply_bytes = one_of(rng, &[0, 0, 2_000, 20_000]);
        // A state that is slow with every single record would never be through.
        let slowest_us = if apply_bytes == 0 { 10_000 } else { one_of(rng, &[5_000, 100_000]) };
        Self {
            seed,
            faults_us: 60_000_000,
            heal_us: 20_000_000,
            operations: 900,
            jobs: 620,
            of_snapshot: one_of(rng, &[0, 0, 0, 20, 50, 100]),
            hot: false,
            jobs_from_us: 600_000,
            bug: None,
            slip: None,
            through_platform: one_of(of_platform, &[50, 50, 50, 75, 100]),
            queued: one_of(of_platform, &[10, 30, 30, 60]),
            every_platform: every(of_platform, &FaultKind::OF_PLATFORM),
            nodes,
            replicas,
            partitions: rng.random_range(1..=4),
            load: load(rng),
            tail_bytes: one_of(rng, &[400, 4_000, 1_000_000]),
            message_bytes,
            segment_bytes: rng.random_range(1_000..16_000),
            retention_ms: one_of(rng, &[20_000, 20_000, 4_000]),
            apply_bytes,
            apply_ms: one_of(rng, &[100, 2_000, 15_000, 60_000]),
            pending_bytes: one_of(
                of_limits,
                &[1_000_000, 1_000_000, 1_000_000, 2 * apply_bytes + 30_000],
            ),
            intents: one_of(of_limits, &[16_384, 16_384, 10]),
            state_us: (20, slowest_us),
            network: network(rng, latency),
            disk_us: (100, rng.random_range(200..20_000)),
            every: every(rng, &FaultKind::ALL),
            at_primary: one_of(rng, &[0, 50, 90]),
            after_win: one_of(rng, &[0, 0, 20, 60]),
            off_us: (50_000, 8_000_000),
            lasts_us: (10_000, one_of(rng, &[1_000_000, 6_000_000])),
            skew_us: if rng.random_bool(0.5) { rng.random_range(0..200_000) } else { 0 },
            drift_ppm: rng.random_range(0..20_000),
        }
    }
}

fn one_of<T: Copy>(rng: &mut StdRng, some: &[T]) -> T {
    some[rng.random_range(0..some.len())]
}

fn load(rng: &mut StdRng) -> Load {
    Load {
        clients: rng.random_range(3..=8),
        keys: rng.random_range(2..=6),
        accounts: rng.random_range(3..=8),
        lists: rng.random_range(3..=8),
        shelves: rng.random_range(2..=4),
        reads: one_of(rng, &[30, 30, 60]),
        snapshots: one_of(rng, &[10, 10, 25]),
        deletes: 8,
        ahead_us: one_of(rng, &[0, 200_000]),
    }
}

fn network(rng: &mut StdRng, latency: u64) -> Network {
    let mut often = |most: u32| if rng.random_bool(0.5) { rng.random_range(0..most) } else { 0 };
    let (slow_ppm, lost_ppm, twice_ppm) = (often(50_000), often(80_000), often(50_000));
    let slow_us = rng.random_range(1_000..400_000);
    Network { latency_us: (latency / 4, latency), slow_ppm, slow_us, lost_ppm, twice_ppm }
}

fn every(rng: &mut StdRng, kinds: &[FaultKind]) -> BTreeMap<FaultKind, u64> {
    let mut every = BTreeMap::new();
    for kind in kinds.iter().copied() {
        let (least, most) = kind.usual_ms();
        let mean_us = 1_000 * rng.random_range(least..most);
        if rng.random_bool(0.3) {
            every.insert(kind, mean_us);
        }
    }
    every
}
