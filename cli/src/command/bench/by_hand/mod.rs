//! Case `by-hand`: chains of three steps with one read and one write, beside the same written by
//! hand over NATS and JetStream KV, with the same number of replicas and the same durability, in
//! one run.
//!
//! Both are measured one after the other, `rounds` times in turn; medians are printed.

mod report;
mod services;

use super::drive::{Measured, drive};
use super::platform::Platform;
use super::replicated::{Counted, Servers, counted};
use super::steps::{self, LEAVE, LOOK};
use crate::failure::Failure;
use report::{Line, Report, Round, Setting};
use services::ByHand;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CHAIN: &str = "bench-by-hand";

/// What is to be measured.
pub(crate) struct Plan {
    pub(crate) replicas: Vec<usize>,
    pub(crate) payloads: Vec<usize>,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) workers: usize,
    /// Of one measurement.
    pub(crate) time: Duration,
    pub(crate) rounds: usize,
}

/// Where the records of a chain are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It rewrites the record that it reads, at its home.
    Home,
    /// It reads a record at its home and writes one in another partition.
    Two,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Case {
    place: Place,
    payload: usize,
    in_flight: usize,
    time: Duration,
}

/// The records of a lane, which no other lane uses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lane {
    read: String,
    write: String,
}

impl Plan {
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for place in [Place::Home, Place::Two] {
            for payload in &self.payloads {
                for in_flight in &self.in_flight {
                    let (payload, in_flight, time) = (*payload, *in_flight, self.time);
                    cases.push(Case { place, payload, in_flight, time });
                }
            }
        }
        cases
    }
}

/// Measures and prints.
pub(crate) async fn run(plan: &Plan, json: bool) -> Result<(), Failure> {
    let report = Report::begin(json)?;
    for replicas in &plan.replicas {
        let folder = tempfile::tempdir()?;
        let mut systems = Systems::start(folder.path(), *replicas, plan.workers).await?;
        for case in plan.cases() {
            let mut rounds = Vec::with_capacity(plan.rounds);
            for _ in 0..plan.rounds {
                rounds.push(systems.round(&case).await?);
            }
            let setting = Setting { replicas: *replicas, case };
            report.line(&setting, &Line::median(&rounds))?;
        }
        systems.stop().await?;
    }
    Ok(())
}

/// Both systems with one number of replicas.
struct Systems {
    hand_servers: Servers,
    hand: ByHand,
    own_server: Servers,
    platform: Platform,
}

impl Systems {
    async fn start(folder: &Path, replicas: usize, workers: usize) -> Result<Self, Failure> {
        let hand_servers = Servers::start(&folder.join("by-hand"), replicas).await?;
        let hand = ByHand::start(&hand_servers.urls(), replicas).await?;
        let own_server = Servers::start(&folder.join("own"), 1).await?;
        let url = own_server.urls().join(",");
        let platform = Platform::start(&url, folder, replicas, workers).await?;
        let steps = format!("echo,{LOOK},{LEAVE}");
        platform.client.chains().set(CHAIN, steps).await?;
        Ok(Self { hand_servers, hand, own_server, platform })
    }

    async fn round(&mut self, case: &Case) -> Result<Round, Failure> {
        let partitions = self.platform.client.store().partitions().await?;
        let lanes: Vec<Lane> =
            (0..case.in_flight).map(|lane| Lane::new(lane, case.place, partitions)).collect();
        self.prepare(&lanes, case.payload).await?;
        let lanes = Arc::new(lanes);
        let hand = counted(&self.hand_servers, self.by_hand(case, &lanes)).await?;
        let before = self.platform.nodes.syncs().await?;
        let catena = counted(&self.own_server, self.catena(case, &lanes)).await?;
        let after = self.platform.nodes.syncs().await?;
        let syncs = after.zip(before).map(|(after, before)| after.saturating_sub(before));
        let commit_rounds = self.commit_rounds(&lanes, case.payload).await?;
        // Nobody meets anybody here: what was counted is forgotten.
        let _ = self.platform.attempts.take();
        Ok(Round { hand, catena, syncs, commit_rounds })
    }

    /// Gives every record its first value.
    async fn prepare(&self, lanes: &[Lane], payload: usize) -> Result<(), Failure> {
        let mut keys: Vec<String> =
            lanes.iter().flat_map(|lane| [lane.read.clone(), lane.write.clone()]).collect();
        keys.dedup();
        self.hand.prepare(&keys, payload).await?;
        for key in keys {
            self.platform.client.store().write(key, vec![b'x'; payload]).await?;
        }
        Ok(())
    }

    async fn by_hand(&self, case: &Case, lanes: &Arc<Vec<Lane>>) -> Result<Measured, Failure> {
        let (caller, lanes, payload) = (self.hand.caller(), Arc::clone(lanes), case.payload);
        drive(case.in_flight, case.time, move |lane, _| {
            let (caller, input) = (caller.clone(), lanes[lane].input(payload));
            async move { caller.run(input).await }
        })
        .await
    }

    async fn catena(&self, case: &Case, lanes: &Arc<Vec<Lane>>) -> Result<Measured, Failure> {
        let client = self.platform.client.clone();
        let (lanes, payload) = (Arc::clone(lanes), case.payload);
        drive(case.in_flight, case.time, move |lane, _| {
            let (client, lane) = (client.clone(), lanes[lane].clone());
            async move {
                client.run(CHAIN, lane.input(payload)).key(lane.read).await?;
                Ok(())
            }
        })
        .await
    }

    /// How often a commit asks all partitions, as its home counts it: one job of every lane, all
    /// in flight at once, in the mean. Asking for the count costs, so it is not asked while timed.
    async fn commit_rounds(&self, lanes: &[Lane], payload: usize) -> Result<f64, Failure> {
        let client = &self.platform.client;
        let runs = lanes.iter().map(|lane| async move {
            let run = client.run(CHAIN, lane.input(payload)).key(lane.read.as_str()).explain();
            Ok::<_, Failure>(run.await?.explained.and_then(|explained| explained.commit))
        });
        let told = futures_util::future::try_join_all(runs).await?;
        // A job whose earlier attempt had committed tells none.
        let rounds: Vec<u32> = told.into_iter().flatten().map(|costs| costs.rounds).collect();
        if rounds.is_empty() {
            return Err(Failure::new("no job told what its commit took"));
        }
        Ok(f64::from(rounds.iter().sum::<u32>()) / rounds.len() as f64)
    }

    async fn stop(self) -> Result<(), Failure> {
        self.platform.stop().await?;
        drop(self.hand);
        self.hand_servers.stop().await;
        self.own_server.stop().await;
        Ok(())
    }
}

impl Lane {
    fn new(lane: usize, place: Place, partitions: u16) -> Self {
        let read = format!("a{lane:07}");
        let partition = |key: &str| catena_protocol::partition(key, partitions);
        let elsewhere = || {
            let others = (0..1_000).map(|other| format!("b{lane:04}{other:03}"));
            others.into_iter().find(|key| partition(key) != partition(&read))
        };
        let write = match place {
            Place::Home => read.clone(),
            // With one partition there is no other.
            Place::Two => elsewhere().unwrap_or_else(|| format!("b{lane:07}")),
        };
        Self { read, write }
    }

    fn input(&self, payload: usize) -> bytes::Bytes {
        steps::input(&self.read, &self.write, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_writes_where_it_should_and_no_other_lane_does() {
        let (mut seen, partitions) = (std::collections::BTreeSet::new(), 64);
        let partition = |key: &str| catena_protocol::partition(key, partitions);
        for lane in 0..4_096 {
            let home = Lane::new(lane, Place::Home, partitions);
            assert_eq!(home.read, home.write);
            let two = Lane::new(lane, Place::Two, partitions);
            assert_ne!(partition(&two.read), partition(&two.write), "{two:?}");
            assert_eq!(steps::key(&two.input(16), 0), Some(two.read.as_str()));
            assert_eq!(steps::key(&two.input(16), 1), Some(two.write.as_str()));
            assert!(seen.insert(two.read) && seen.insert(two.write));
        }
    }
}
