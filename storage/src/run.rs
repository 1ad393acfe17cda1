//! The process around the rules: one loop that owns the machine, a thread that writes the log, a
//! thread that changes the state.
//!
//! The loop takes everything that is ready, hands it to the machine, and sends what gathered for
//! each inbox as one message. While a sync is under way it goes on evaluating: what it appends
//! then is the next batch.

use crate::config::Config;
use crate::data::{DataDirectory, Owner};
use crate::error::Error;
use crate::forward::Forward;
use crate::founding::{Found, find};
use crate::intake::{self, Topic};
use crate::machine::{Input, Settings};
use crate::open::{Opened, Place, open};
use crate::peers::Peers;
use crate::report::Report;
use crate::turn::{Turn, Work};
use crate::{applier, writer};
use async_nats::Message;
use catena_link::{Clock, wall_us};
use catena_link::{Intake, Link, Outbox};
use catena_protocol::message::heartbeat::{Heartbeat, Led, Load};
use catena_protocol::message::store::Cluster;
use catena_protocol::placement::Member;
use catena_protocol::subject::Role;
use catena_protocol::{DiskId, codec, limit};
use catena_service::{Discovery, Facts, Identity, Shutdown};
use serde_json::json;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info};

/// Messages taken in one turn at most.
const MESSAGES: usize = 256;
/// How long an orderly end may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs a storage node until the end is asked for or the node must not go on.
///
/// # Errors
/// [`Error`]. Acknowledged writes are on disk in every case.
pub async fn run(
    config: Config,
    settings: catena_link::Settings,
    mut shutdown: Shutdown,
) -> Result<(), Error> {
    let directory = DataDirectory::take(&config.data)?;
    let found = tokio::select! {
        found = find(&config, &directory, settings) => found?,
        () = shutdown.requested() => return Ok(()),
    };
    let Found { owner, identity, link, cluster, answering } = found;
    let service = Service::start(&config, &directory, &owner, identity, link, cluster).await?;
    let ended = service.serve(shutdown).await;
    drop((directory, answering));
    ended
}

struct Service {
    identity: Identity,
    turn: Turn,
    intake: Intake<Topic>,
    reports: UnboundedReceiver<Report>,
    threads: [JoinHandle<()>; 2],
    /// Syncs of the log since the start.
    syncs: u64,
    facts: Facts,
    _discovery: Discovery,
}

impl Service {
    async fn start(
        config: &Config,
        directory: &DataDirectory,
        owner: &Owner,
        identity: Identity,
        link: Link,
        cluster: Cluster,
    ) -> Result<Self, Error> {
        let clock = Clock::start();
        let me = Member { node: identity.id.clone(), disk: DiskId(owner.ids.disk) };
        let boot = directory.next_boot(wall_us())?;
        let settings = Settings {
            founders: owner.members.clone(),
            replicas: usize::from(owner.replicas),
            me: me.clone(),
            boot,
            seed: rand::random(),
            partitions: owner.partitions,
            retention_ms: config.retention_ms,
            intents: config.intents,
            ..Settings::default()
        };
        let place = Place {
            log: directory.log(),
            state: directory.state(),
            ids: owner.ids,
            begun: owner.begun,
        };
        let Opened { node, state, log } =
            tokio::task::spawn_blocking(move || open(place, settings))
                .await
                .map_err(|_| Error::Thread("opening"))??;
        if !owner.begun {
            directory.set_owner(&Owner { begun: true, ..owner.clone() })?;
        }
        let (sender, reports) = unbounded_channel();
        let thread =
            |source| Error::Data { doing: "start threads for", path: config.data.clone(), source };
        let (to_log, writer) = writer::start(log, sender.clone()).map_err(thread)?;
        let (to_state, applier) =
            applier::start(state.clone(), to_log.clone(), sender.clone()).map_err(thread)?;

        let (endpoints, counted) = intake::endpoints(&link, &identity.id);
        let intake = intake::subscribe(&link, &identity.id, &node).await?;
        let forward = Forward::start(&link, sender).await?;
        let peers = Peers::new(&link, me, boot, node.sets());
        let facts = Facts::default();
        let description = "keeps records and the outcomes of jobs";
        let discovery =
            Discovery::start(&link.client, &identity, description, endpoints, facts.clone())
                .await
                .map_err(Error::closed)?;
        let mut turn = Turn {
            outbox: Outbox::new(link.message_limit()),
            link,
            clock,
            node,
            state,
            to_log,
            to_state,
            cluster,
            counted,
            forward,
            peers,
            moved: Vec::new(),
            work: Work::default(),
        };
        turn.begin()?;
        info!(id = %identity.id, partitions = owner.partitions, "storage node serves");
        Ok(Self {
            identity,
            turn,
            intake,
            reports,
            threads: [writer, applier],
            syncs: 0,
            facts,
            _discovery: discovery,
        })
    }

    async fn serve(mut self, mut shutdown: Shutdown) -> Result<(), Error> {
        let mut heartbeat = every(limit::HEARTBEAT_MS);
        let mut messages = Vec::new();
        let ended = loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break Ok(()),
                _ = heartbeat.tick() => self.beat(false).await,
                more = self.next(&mut messages) => if let Err(error) = more.and_then(|more| {
                    if more { Ok(()) } else { Err(Error::Closed("its subscriptions ended".to_owned())) }
                }) {
                    break Err(error);
                },
            }
            let flushed = tokio::select! {
                flushed = self.turn.flush() => flushed,
                () = shutdown.requested() => break Ok(()),
            };
            if let Err(error) = flushed {
                break Err(error);
            }
            if !self.turn.moved.is_empty()
                && let Err(error) = self.announce().await
            {
                break Err(error);
            }
        };
        match ended {
            Ok(()) => self.finish().await,
            Err(failed) => {
                error!(error = %failed, "the storage node stops");
                let Self { turn, threads, .. } = self;
                drop(turn);
                // Whoever opens the directory next must not meet these threads there.
                let _ = tokio::time::timeout(DRAIN, joined(threads)).await;
                Err(failed)
            }
        }
    }

    /// Waits for something to do and does it. Returns false when no message can come any more.
    async fn next(&mut self, messages: &mut Vec<(Topic, Message)>) -> Result<bool, Error> {
        let deadline = self.turn.node.next_deadline().map(|at| self.turn.clock.at(at));
        let timer = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            report = self.reports.recv() => {
                let report = report.ok_or(Error::Thread("log"))?;
                self.report(report)?;
                while let Ok(more) = self.reports.try_recv() {
                    self.report(more)?;
                }
            }
            more = self.intake.next(MESSAGES, messages) => {
                self.turn.take(messages)?;
                return Ok(more);
            }
            () = timer => self.turn.input(Input::Tick)?,
        }
        Ok(true)
    }

    /// Hears requests to the partitions that it leads, and tells everybody which these are.
    async fn announce(&mut self) -> Result<(), Error> {
        for (partition, leads) in std::mem::take(&mut self.turn.moved) {
            intake::set_primary(&mut self.intake, &self.turn.link, partition, leads).await?;
        }
        self.beat(false).await;
        Ok(())
    }

    fn report(&mut self, report: Report) -> Result<(), Error> {
        match report {
            Report::Synced { frame, syncs } => {
                self.syncs = syncs;
                self.turn.input(Input::Synced { frame })
            }
            Report::Applied { batch } => self.turn.input(Input::Applied { batch }),
            Report::Told { number, tell } => {
                self.turn.told(number, tell);
                Ok(())
            }
            Report::Failed(error) => Err(error),
        }
    }

    async fn beat(&mut self, draining: bool) {
        let led: Vec<Led> =
            self.turn.node.led().map(|(partition, epoch)| Led { partition, epoch }).collect();
        self.facts.set(json!({
            "partitions_led": led.len(),
            "records_approximate": self.turn.state.approximate_versions(),
            "bytes": self.turn.state.bytes().unwrap_or(0),
            "requests_held": self.turn.node.held(),
            "bytes_pending": self.turn.node.pending_bytes(),
            "syncs": self.syncs,
        }));
        let partitions = self.turn.cluster.partitions;
        let heartbeat = Heartbeat {
            node: self.identity.id.clone(),
            boot: self.identity.boot,
            draining,
            load: Load::Storage { partitions, led },
        };
        let subject = self.turn.link.subjects.heartbeat(Role::Storage, &self.identity.id);
        let body = codec::encode(&heartbeat);
        if let Err(error) = self.turn.link.client.publish(subject, body.into()).await {
            tracing::warn!(%error, "a heartbeat could not be sent");
        }
    }

    /// Takes nothing new, answers what is under way, and leaves everything durable.
    async fn finish(mut self) -> Result<(), Error> {
        info!("the storage node finishes what is under way");
        let drained = tokio::time::timeout(DRAIN, self.drain()).await;
        if drained.is_err() {
            tracing::warn!("some requests were not answered; they will be asked again");
        }
        let Self { turn, threads, mut reports, .. } = self;
        let client = turn.link.client.clone();
        drop(turn);
        if !joined(threads).await {
            return Err(Error::Thread("log or state"));
        }
        catena_link::close(&client).await;
        while let Ok(report) = reports.try_recv() {
            if let Report::Failed(error) = report {
                return Err(error);
            }
        }
        drained.unwrap_or(Ok(()))
    }

    async fn drain(&mut self) -> Result<(), Error> {
        self.turn.retire()?;
        self.turn.flush().await?;
        self.beat(true).await;
        self.intake.drain().await;
        let mut messages = Vec::new();
        let mut open = true;
        while open || self.turn.node.held() > 0 {
            open = self.next(&mut messages).await? && open;
            self.turn.flush().await?;
        }
        self.turn.apply()
    }
}

/// Waits for the threads to end. Returns whether they ended well.
async fn joined(threads: [JoinHandle<()>; 2]) -> bool {
    let all = move || threads.into_iter().all(|thread| thread.join().is_ok());
    tokio::task::spawn_blocking(all).await.unwrap_or(false)
}

fn every(ms: u64) -> Interval {
    let mut interval = interval(Duration::from_millis(ms));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
