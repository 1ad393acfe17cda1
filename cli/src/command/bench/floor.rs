//! The bare floor: connections that only pass the same bytes on along the same hops.
//!
//! ```text
//! chain of n:    client -> scheduler -> worker 1 -> ... -> worker n -> client         n + 2 messages
//! with a commit: before the last hop the last worker asks the store twice, a read and a write
//!                (4 more messages); the store appends the write and syncs once for all that is
//!                queued, as ours does
//! store:         client -> store -> client, writes appended and synced in the same way
//! ```

use super::case::{Case, Kind};
use super::drive::{Measured, WARM_UP, histogram};
use crate::failure::Failure;
use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use catena_link::{Settings, connect};
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Where a hop of the floor sends what it gets.
struct Hop {
    client: Client,
    input: ReadyChunks<Subscriber>,
    output: String,
}

const MOST: usize = 512;

async fn hop(settings: &Settings, input: &str, output: String) -> Result<Hop, Failure> {
    let client = connect(settings.clone(), "floor", false).await?.client;
    let input = client.subscribe(input.to_owned()).await.map_err(Failure::new)?;
    client.flush().await.map_err(Failure::new)?;
    Ok(Hop { client, input: input.ready_chunks(MOST), output })
}

impl Hop {
    async fn pass_on(mut self) -> Result<(), Failure> {
        while let Some(messages) = self.input.next().await {
            for message in messages {
                self.send(message.payload).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, bytes: Bytes) -> Result<(), Failure> {
        self.client.publish(self.output.clone(), bytes).await.map_err(Failure::new)
    }

    /// Appends everything that is queued, syncs once, passes everything on.
    async fn sync_and_pass_on(mut self, file: File) -> Result<(), Failure> {
        let mut file = Some(file);
        while let Some(messages) = self.input.next().await {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| m.payload.iter().copied()).collect();
            let Some(mut open) = file.take() else { break };
            let synced = tokio::task::spawn_blocking(move || {
                open.write_all(&bytes)?;
                open.sync_data()?;
                Ok::<_, std::io::Error>(open)
            });
            file = Some(synced.await.map_err(Failure::new)??);
            for message in messages {
                self.send(message.payload).await?;
            }
        }
        Ok(())
    }
}

/// Measures the floor of a case.
pub(crate) async fn measure(
    settings: &Settings,
    case: &Case,
    folder: &Path,
    time: Duration,
) -> Result<Measured, Failure> {
    let mut hops = JoinSet::new();
    let path = path_of(case);
    for (n, kind) in path.iter().enumerate() {
        let hop = hop(settings, &format!("floor.{n}"), format!("floor.{}", n + 1)).await?;
        match kind {
            Passing::On => hops.spawn(hop.pass_on()),
            Passing::Synced => {
                let file = File::create(folder.join("floor.log"))?;
                hops.spawn(hop.sync_and_pass_on(file))
            }
        };
    }
    let client = connect(settings.clone(), "floor-client", false).await?.client;
    let answers = client.subscribe(format!("floor.{}", path.len())).await.map_err(Failure::new)?;
    client.flush().await.map_err(Failure::new)?;
    let measured = keep_in_flight(client, answers, case, time).await;
    hops.abort_all();
    measured
}

enum Passing {
    On,
    Synced,
}

fn path_of(case: &Case) -> Vec<Passing> {
    let mut path: Vec<Passing> = Vec::new();
    match case.kind {
        Kind::Chain | Kind::ChainCommit => {
            // The scheduler and the workers.
            path.extend((0..=case.steps).map(|_| Passing::On));
            if case.kind == Kind::ChainCommit {
                // Store, back at the worker, store, back at the worker.
                path.extend([Passing::On, Passing::On, Passing::Synced, Passing::On]);
            }
        }
        Kind::StoreRead => path.push(Passing::On),
        Kind::StoreWrite | Kind::StoreCas => path.push(Passing::Synced),
    }
    path
}

/// The client of the floor: one task that sends a new message for every one that comes back. The
/// first eight bytes say which lane a message belongs to.
async fn keep_in_flight(
    client: Client,
    answers: Subscriber,
    case: &Case,
    time: Duration,
) -> Result<Measured, Failure> {
    let begin = Instant::now();
    let counting_from = begin + time.mul_f64(WARM_UP);
    let end = counting_from + time;
    let padding = vec![b'x'; case.payload - 8];
    let message =
        |lane: usize| -> Bytes { [&(lane as u64).to_be_bytes()[..], &padding].concat().into() };
    let mut sent = vec![begin; case.in_flight];
    for (lane, at) in sent.iter_mut().enumerate() {
        *at = Instant::now();
        client.publish("floor.0", message(lane)).await.map_err(Failure::new)?;
    }
    let (mut counted, mut total) = (histogram(), 0);
    let mut answers = answers.ready_chunks(MOST);
    let late = tokio::time::sleep_until((end + Duration::from_secs(5)).into());
    tokio::pin!(late);
    loop {
        let ready: Vec<Message> = tokio::select! {
            ready = answers.next() => ready.unwrap_or_default(),
            () = &mut late => return Err(Failure::new("a message of the floor was lost")),
        };
        let now = Instant::now();
        if now >= end {
            return Ok(Measured::new(counted, total, time));
        }
        for answer in ready {
            let lane = lane_of(&answer.payload)?;
            let at = sent.get_mut(lane).ok_or_else(|| Failure::new("not a lane"))?;
            if now >= counting_from {
                counted.saturating_record(now.duration_since(*at).as_micros() as u64);
            }
            total += 1;
            *at = Instant::now();
            client.publish("floor.0", message(lane)).await.map_err(Failure::new)?;
        }
    }
}

fn lane_of(payload: &[u8]) -> Result<usize, Failure> {
    let head = payload.first_chunk::<8>().ok_or_else(|| Failure::new("a message is too short"))?;
    Ok(u64::from_be_bytes(*head) as usize)
}
