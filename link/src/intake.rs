//! Several subscriptions, taken together: one turn gets everything that is ready.

use async_nats::{Message, Subscriber};
use futures_util::stream::{SelectAll, StreamExt};
use std::task::{Context, Poll, Waker};

/// Subscriptions, each with a tag that says what its messages are.
#[derive(Default)]
pub struct Intake<T: Copy + Unpin> {
    streams: SelectAll<Tagged<T>>,
    /// The last subscription ended while messages were taken that came before.
    ended: bool,
}

struct Tagged<T> {
    tag: T,
    subscriber: Subscriber,
}

impl<T: Copy + Unpin> futures_util::Stream for Tagged<T> {
    type Item = (T, Message);

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        let tag = self.tag;
        self.subscriber.poll_next_unpin(context).map(|next| next.map(|message| (tag, message)))
    }
}

impl<T: Copy + Unpin> Intake<T> {
    /// No subscriptions yet; until there is one, `next` never returns.
    pub fn new() -> Self {
        Self { streams: SelectAll::new(), ended: false }
    }

    /// Adds a subscription.
    pub fn add(&mut self, tag: T, subscriber: Subscriber) {
        self.ended = false;
        self.streams.push(Tagged { tag, subscriber });
    }

    /// Ends the subscriptions with a tag; what has not been taken of them is lost.
    pub async fn remove(&mut self, tag: T)
    where
        T: PartialEq,
    {
        for tagged in self.streams.iter_mut().filter(|tagged| tagged.tag == tag) {
            let _ = tagged.subscriber.unsubscribe().await;
        }
    }

    /// Waits for a message and takes it with everything else that is ready, at most `most`.
    /// Returns false when every subscription has ended. Nothing is lost if the future is dropped.
    pub async fn next(&mut self, most: usize, out: &mut Vec<(T, Message)>) -> bool {
        if self.ended {
            return false;
        }
        if self.streams.is_empty() {
            return std::future::pending().await;
        }
        let Some(first) = self.streams.next().await else { return false };
        out.push(first);
        let mut context = Context::from_waker(Waker::noop());
        while out.len() < most {
            match self.streams.poll_next_unpin(&mut context) {
                Poll::Ready(Some(more)) => out.push(more),
                Poll::Ready(None) => {
                    self.ended = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        true
    }

    /// Stops taking new messages on every subscription; what is on its way still comes.
    pub async fn drain(&mut self) {
        for tagged in self.streams.iter_mut() {
            let _ = tagged.subscriber.drain().await;
        }
    }
}
