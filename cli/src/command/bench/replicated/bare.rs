//! One replica of the floor: a process that appends what it hears, syncs, and says so.
//!
//! It takes everything that is queued, appends it, syncs once and answers. It knows no keys, no
//! values, no order and no other replica.

use super::message;
use crate::failure::Failure;
use async_nats::{Client, Message, Subject};
use catena_link::{Settings, connect};
use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::select;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes whose answers may go together.
pub(super) const WRITE_TOGETHER: &str = "floor.write.together";
/// Writes that are answered one by one.
pub(super) const WRITE_EACH: &str = "floor.write.each";

/// Reads go to one replica.
pub(super) fn read_subject(replica: usize) -> String {
    format!("floor.read.{replica}")
}

/// Messages taken at once at most, as storage nodes do.
const MOST: usize = 256;

/// One replica of the floor of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BareReplica {
    /// Which one
    #[arg(long)]
    pub(super) replica: usize,

    /// What it appends to
    #[arg(long, value_name = "FILE")]
    pub(super) file: PathBuf,
}

impl BareReplica {
    /// Runs until standard input ends, that is with whoever started it.
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let client = connect(settings, "floor", false).await?.client;
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        tokio::select! {
            served = self.serve(client) => served?,
            _ = ended => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn serve(self, client: Client) -> Result<(), Failure> {
        let writes = client.subscribe("floor.write.*").await.map_err(Failure::new)?;
        // Subscribed last: who gets an answer here knows that writes are heard too.
        let reads = client.subscribe(read_subject(self.replica)).await.map_err(Failure::new)?;
        let mut file = Some(File::create(&self.file)?);
        let mut messages = select(writes, reads).ready_chunks(MOST);
        while let Some(messages) = messages.next().await {
            file = Some(append(file.take(), &messages).await?);
            answer(&client, messages).await?;
        }
        Ok(())
    }
}

fn is_write(message: &Message) -> bool {
    matches!(message.subject.as_str(), WRITE_TOGETHER | WRITE_EACH)
}

/// Appends the writes and syncs once, if there are any.
async fn append(file: Option<File>, messages: &[Message]) -> Result<File, Failure> {
    let mut file = file.ok_or_else(|| Failure::new("the file is gone"))?;
    let writes = messages.iter().filter(|message| is_write(message));
    let bytes: Vec<u8> = writes.flat_map(|message| message.payload.iter().copied()).collect();
    if bytes.is_empty() {
        return Ok(file);
    }
    let synced = tokio::task::spawn_blocking(move || {
        file.write_all(&bytes)?;
        file.sync_data()?;
        Ok::<_, std::io::Error>(file)
    });
    Ok(synced.await.map_err(Failure::new)??)
}

/// A read gets its bytes back, a write its numbers; those that may go together do.
async fn answer(client: &Client, messages: Vec<Message>) -> Result<(), Failure> {
    let mut together: BTreeMap<Subject, Vec<u64>> = BTreeMap::new();
    for message in messages {
        let write = is_write(&message);
        let Message { subject, reply: Some(reply), payload, .. } = message else { continue };
        let bytes = match subject.as_str() {
            WRITE_TOGETHER => {
                together.entry(reply).or_default().extend(message::numbers(&payload)?);
                continue;
            }
            _ if write => {
                let numbers: Vec<u64> = message::numbers(&payload)?.collect();
                message::encode(&numbers, 0)
            }
            _ => payload,
        };
        client.publish(reply, bytes).await.map_err(Failure::new)?;
    }
    for (reply, numbers) in together {
        let bytes = message::encode(&numbers, 0);
        client.publish(reply, bytes).await.map_err(Failure::new)?;
    }
    Ok(())
}
