//! Takes the jobs of one chain from the durable queue: never more than may run here, so that
//! what cannot run yet stays where other schedulers find it.

use crate::news::FromQueue;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::{self, AckKind, stream};
use catena_protocol::Name;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{debug, warn};

/// How long a message may stay without a sign of life before it is delivered again.
/// The jobs of a scheduler that died wait this long.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Jobs of one chain that all schedulers together may have.
const PER_CHAIN: i64 = 16_384;
/// Messages that are asked for at once.
const BATCH: usize = 128;
/// How long one request for messages stands. One that is lost, as when NATS is restarted, holds up
/// the chain this long.
const ASK: Duration = Duration::from_secs(4);
/// How long to wait before the queue is read again after trouble.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes the jobs of one chain.
pub(crate) struct ChainQueue {
    pub(crate) context: jetstream::Context,
    pub(crate) settings: stream::Config,
    pub(crate) subject: String,
    pub(crate) chain: Name,
    /// One permit for each job of this chain that may be in flight here.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) jobs: mpsc::Sender<FromQueue>,
}

impl ChainQueue {
    /// Takes jobs until nobody wants them any more.
    pub(crate) async fn run(self) {
        let mut quiet = false;
        while !self.jobs.is_closed() {
            let taken = match self.consumer().await {
                Ok(consumer) => self.take(&consumer).await,
                Err(error) => Err(error),
            };
            let chain = &self.chain;
            match taken {
                Ok(()) => return,
                Err(error) if quiet => debug!(%chain, %error, "the durable queue cannot be read"),
                Err(error) => {
                    warn!(%chain, %error, "the durable queue cannot be read; trying again");
                    quiet = true;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn consumer(&self) -> Result<Consumer<pull::Config>, async_nats::Error> {
        let stream = self.context.get_or_create_stream(self.settings.clone()).await?;
        let consumer = pull::Config {
            durable_name: Some(self.chain.to_string()),
            filter_subject: self.subject.clone(),
            ack_wait: ACK_WAIT,
            max_ack_pending: PER_CHAIN,
            max_deliver: -1,
            ..pull::Config::default()
        };
        Ok(stream.get_or_create_consumer(self.chain.as_str(), consumer).await?)
    }

    /// Ends well when nobody wants jobs any more.
    async fn take(&self, consumer: &Consumer<pull::Config>) -> Result<(), async_nats::Error> {
        loop {
            let Some(mut permits) = self.permits().await else { return Ok(()) };
            let mut messages =
                consumer.batch().max_messages(permits.len()).expires(ASK).messages().await?;
            loop {
                let next = tokio::select! {
                    next = messages.next() => next,
                    () = self.jobs.closed() => {
                        give_back(&mut messages).await;
                        return Ok(());
                    }
                };
                let Some(next) = next else { break };
                let message = next?;
                let permit = permits.pop();
                let from = FromQueue { chain: self.chain.clone(), message, permit };
                if let Err(unwanted) = self.jobs.send(from).await {
                    let _ = unwanted.0.message.ack_with(AckKind::Nak(None)).await;
                    give_back(&mut messages).await;
                    return Ok(());
                }
            }
        }
    }

    /// Waits for one permit and takes what else there is, up to a batch.
    async fn permits(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            first = Arc::clone(&self.permits).acquire_owned() => first.ok()?,
            () = self.jobs.closed() => return None,
        };
        let more = std::iter::from_fn(|| Arc::clone(&self.permits).try_acquire_owned().ok());
        Some(std::iter::once(first).chain(more.take(BATCH - 1)).collect())
    }
}

/// What was delivered but not taken is delivered elsewhere at once.
async fn give_back(messages: &mut pull::Batch) {
    let rest = async {
        while let Some(Ok(message)) = messages.next().await {
            let _ = message.ack_with(AckKind::Nak(None)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(100), rest).await;
}
