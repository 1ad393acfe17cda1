//! Clients: what they ask, what they are told, and that they are told in time.

use super::{Happening, World};
use crate::broker::{Inbox, Message, Party};
use crate::client::{PATIENCE_US, Purpose, text};
use crate::clock::right;
use crate::job::Look;
use catena_client::machine::{Effect as ClientEffect, Input as ClientInput, Target};
use catena_history::{FinalRead, Outcome, SnapshotRead};
use catena_protocol::message::read::Record;
use catena_protocol::message::store::{Ask, Request, Tell};
use catena_protocol::{Fault, Key};
use rand::Rng;

/// The rule about answers.
pub(super) const ANSWERED: &str = "7: every request gets exactly one answer, in time";
/// Most reads that one client has open with replicas.
const DIRECT: usize = 100;
/// The router notices a deadline within this, in microseconds: its timers are coarse.
const LATE_US: u64 = 10_000;

impl World {
    pub(super) fn client(&mut self, client: usize, input: ClientInput<u64>) {
        let mut effects = Vec::new();
        self.clients[client].router.handle(right(self.at_us), input, &mut effects);
        self.client_effects(client, effects);
    }

    pub(super) fn client_effects(&mut self, client: usize, effects: Vec<ClientEffect<u64>>) {
        for effect in effects {
            match effect {
                ClientEffect::Send { to, id, turn } => {
                    let request = self.clients[client].router.request(id).cloned();
                    if let Some(request) = request {
                        self.request(Inbox::client(client as u64), to, turn, request);
                    }
                }
                ClientEffect::Answer { caller, result } => self.answered(client, caller, result),
            }
        }
        let at_us = self.at_us;
        let here = &mut self.clients[client];
        here.alarm += 1;
        let alarm = here.alarm;
        if let Some(due) = here.router.next_deadline() {
            self.at(due.max(at_us + 1), Happening::ClientWakes { client, alarm });
        }
    }

    pub(super) fn request(&mut self, from: Inbox, to: Target, turn: u64, request: Request) {
        let listens: Vec<usize> = (0..self.hosts.len())
            .filter(|host| {
                let here = &self.hosts[*host];
                here.process.as_ref().is_some_and(|process| match &to {
                    Target::Node(node) => here.node == *node,
                    Target::Primary(partition) => process.leads.contains_key(partition),
                    Target::Replica(partition) => {
                        process.machine.hosted().any(|number| number == *partition)
                    }
                })
            })
            .collect();
        let Inbox { of: me, boot } = from;
        match (&to, listens.as_slice()) {
            (_, []) => self.send(me, me, Message::Nobody { boot, to, turn }),
            (Target::Replica(_), some) => {
                let host = some[self.rng.random_range(0..some.len())];
                let message = Message::Request { from, request: Box::new(request) };
                self.send(me, Party::Node(host), message);
            }
            (_, all) => {
                for host in all {
                    let message = Message::Request { from, request: Box::new(request.clone()) };
                    self.send(me, Party::Node(*host), message);
                }
            }
        }
    }

    pub(super) fn client_asks(&mut self, client: usize) {
        let share = self.plan.faults_us * self.plan.load.clients / self.plan.operations;
        if !self.healed {
            let wait = self.rng.random_range(1..share * 2);
            self.after(wait, Happening::ClientAsks { client });
        }
        // Some come in bursts, so that operations overlap.
        let burst = if self.rng.random_ratio(1, 4) { self.rng.random_range(1..4) } else { 0 };
        for _ in 0..=burst {
            self.ask_one(client);
        }
    }

    pub(super) fn ask_one(&mut self, client: usize) {
        let now = right(self.at_us);
        let at_us = self.at_us;
        if self.clients[client].operations() >= 16 {
            return;
        }
        let wish = self.clients[client].wish(&mut self.rng, &self.plan.load, now);
        let purpose = match wish.call {
            Some(call) => match self.recorder.invoke(client as u64, &wish.key, call, at_us) {
                Ok(ticket) => Purpose::Operation(ticket, wish.key.clone()),
                Err(_) => return,
            },
            None => Purpose::Snapshot(wish.key.clone(), wish.snapshot.unwrap_or(0)),
        };
        // Replicas are asked directly, too: clients do so only when a primary is silent.
        if let Purpose::Snapshot(key, at) = &purpose
            && self.rng.random_bool(0.7)
        {
            return self.ask_replica(client, key.clone(), *at, wish.ask);
        }
        self.tally.count("operations");
        let partitions = self.plan.partitions;
        let mut effects = Vec::new();
        self.clients[client].ask(now, partitions, (&wish.key, wish.ask), purpose, &mut effects);
        self.client_effects(client, effects);
    }

    /// A read at a snapshot of some replica, whose answer is taken as it comes, if it comes.
    fn ask_replica(&mut self, client: usize, key: String, at: u64, ask: Ask) {
        let Ok(parsed) = Key::new(&key) else { return };
        let id = u64::MAX - self.next;
        self.next += 1;
        let direct = &mut self.clients[client].direct;
        direct.insert(id, (key, at));
        // The oldest has the highest number, for they are counted down.
        if direct.len() > DIRECT {
            direct.pop_last();
        }
        let partition = parsed.partition(self.plan.partitions);
        let request = Request { id, partition, ask };
        let host = self.rng.random_range(0..self.hosts.len());
        let from = Inbox::client(client as u64);
        let message = Message::Request { from, request: Box::new(request) };
        self.tally.count("reads at a snapshot, of any replica");
        self.send(from.of, Party::Node(host), message);
    }

    pub(super) fn answered(&mut self, client: usize, caller: u64, result: Result<Tell, Fault>) {
        let Some((purpose, since_us)) = self.clients[client].open.remove(&caller) else {
            return self.fail(ANSWERED, format!("one too many: {result:?}"));
        };
        let took_us = self.at_us - since_us;
        if took_us > PATIENCE_US + LATE_US {
            self.fail(
                ANSWERED,
                format!("after {took_us} us, {PATIENCE_US} are allowed: {purpose:?}"),
            );
        }
        self.note(|| format!("c{client} {purpose:?} {result:?}"));
        let at_us = self.at_us;
        match purpose {
            Purpose::Operation(ticket, key) => {
                let outcome = self.clients[client].outcome(&key, &result);
                self.tally.count(match &outcome {
                    Outcome::Unknown => "operations of unknown outcome",
                    Outcome::Refused => "operations refused",
                    _ => "operations answered",
                });
                if let Err(error) = self.recorder.complete(ticket, at_us, outcome) {
                    self.fail("7: every request gets a fitting answer", error.to_string());
                }
            }
            Purpose::Snapshot(key, at) => {
                if let Ok(Tell::Record(record)) = result {
                    self.snapshot(key, at, &record);
                }
            }
            Purpose::JobRead(attempt, key) => self.job_read(attempt, &key, &result),
            Purpose::JobCommit(attempt) => self.job_told(attempt, result),
            Purpose::JobLook(key, asked_us) => {
                if let Ok(Tell::Record(record)) = result {
                    let version = record.version.0;
                    self.jobs.looks.push(Look { key, asked_us, version });
                }
            }
            Purpose::JobPlace(key, value) => self.placed(&key, &value, &result),
            Purpose::JobOutcome(job) => self.job_outcome(job, &result),
            Purpose::JobFinal(key) => self.job_final(key, &result),
            Purpose::Final(key) => match result {
                Ok(Tell::Record(record)) => {
                    let value = record.value.as_ref().map(text);
                    let read = FinalRead { key: key.clone(), value, version: record.version.0 };
                    self.finals.insert(key, read);
                }
                other => self.fail("everything recovers", format!("`{key}`: {other:?}")),
            },
        }
    }

    pub(super) fn snapshot(&mut self, key: String, at: u64, record: &Record) {
        self.tally.count("reads at a snapshot, answered");
        let value = record.value.as_ref().map(text);
        let version = record.version.0;
        self.snapshots.push(SnapshotRead { key, at, value, version });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// What is found of an answer that comes at `at_us` to what was asked at 0, if it was asked.
    fn broken(asked: bool, at_us: u64) -> Option<&'static str> {
        let mut world = World::new(Plan::of(1), false);
        if asked {
            let purpose = Purpose::Snapshot("a".to_owned(), 1);
            world.clients[0].open.insert(7, (purpose, 0));
        }
        world.at_us = at_us;
        world.answered(0, 7, Ok(Tell::Record(Record::default())));
        world.failure.map(|failure| failure.rule)
    }

    #[test]
    fn an_answer_too_many_or_too_late_is_seen() {
        assert_eq!(broken(true, PATIENCE_US), None);
        assert_eq!(broken(true, PATIENCE_US + LATE_US + 1), Some(ANSWERED));
        assert_eq!(broken(false, 1), Some(ANSWERED));
    }
}
