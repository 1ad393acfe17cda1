//! The durable queue: jobs are stored, delivered to one scheduler at a time, and acknowledged.

use super::Event;
use crate::broker::{Inbox, Message, Party};
use crate::platform::Dispatch;
use crate::world::{Happening, World};
use catena_protocol::message::assign::Reply;
use catena_scheduler::machine::Queueing;
use rand::Rng;

/// How often the queue looks what it can deliver, in microseconds.
const LOOK_US: u64 = 50_000;

impl World {
    /// A scheduler puts a job on the durable queue.
    pub(super) fn publish(&mut self, at: usize, who: Inbox, mut job: Queueing) {
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let number = life.at.number();
        life.at.publishing.insert(number, job.reply.take());
        life.at.remembered.insert(job.job);
        let dispatch = Dispatch::Publish { number, job: Box::new(job), from: who };
        self.dispatch(who.of, Party::Queue, dispatch);
    }

    /// It is there: whoever asked for that is told.
    pub(super) fn published(&mut self, at: usize, number: u64) {
        let Some(life) = &mut self.platform.schedulers[at].life else { return };
        let Some(Some(reply)) = life.at.publishing.remove(&number) else { return };
        let (Reply::Text(inbox) | Reply::Batch(inbox)) = reply;
        let mut parts = inbox.split('.');
        let client = parts.next().and_then(|name| name.strip_prefix('c')?.parse().ok());
        let job = parts.next().and_then(|job| job.parse().ok());
        if let (Some(client), Some(job)) = (client, job) {
            let dispatch = Dispatch::Queued { job, result: Ok(()) };
            self.dispatch(Party::Scheduler(at), Party::Client(client), dispatch);
        }
    }

    pub(in crate::world) fn arrive_at_queue(&mut self, message: Message) {
        let Message::Dispatch(dispatch) = message else { return };
        let now_us = self.at_us;
        let queue = &mut self.platform.queue;
        match *dispatch {
            Dispatch::Publish { number, job, from } => {
                queue.store(*job, now_us);
                let answer = Dispatch::Published { boot: from.boot, number };
                self.dispatch(Party::Queue, from.of, answer);
            }
            Dispatch::Acknowledge { sequence } => queue.acknowledge(sequence),
            Dispatch::Later { sequence, wait_us } => queue.later(sequence, now_us, wait_us),
            Dispatch::Progress { sequence } => queue.progress(sequence, now_us),
            _ => {}
        }
    }

    /// Whatever is due goes to some scheduler that takes work.
    pub(super) fn deliver(&mut self) {
        let wait = self.rng.random_range(1..LOOK_US * 2);
        self.after(wait, Happening::Platform(Event::Delivers));
        while let Some(to) = self.some_scheduler() {
            let Some((sequence, message)) = self.platform.queue.take_due(self.at_us) else {
                return;
            };
            let message = Box::new(message);
            self.dispatch(Party::Queue, to, Dispatch::Deliver { sequence, message });
        }
    }
}
