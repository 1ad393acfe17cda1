//! Messages on their way: the broker decides what becomes of them, and processes that stand still
//! get them later.

use super::{Happening, World};
use crate::broker::{Fate, Inbox, Message, Party};
use catena_client::machine::Input as ClientInput;
use catena_protocol::message::store::Tell;
use catena_storage::machine::Input;

impl World {
    pub(super) fn send(&mut self, from: Party, to: Party, message: Message) {
        self.tally.count("messages");
        let fate = self.broker.send(&mut self.rng, self.at_us, from, to, &message);
        self.fate(fate, from, to, message);
    }

    pub(super) fn fate(&mut self, fate: Fate, from: Party, to: Party, message: Message) {
        match fate {
            Fate::Arrives(at) => self.at(at, Happening::Arrives { from, to, message }),
            Fate::ArrivesTwice(first, second) => {
                self.tally.count("fault: message twice");
                let again = message.clone();
                self.at(first, Happening::Arrives { from, to, message });
                self.at(second, Happening::Arrives { from, to, message: again });
            }
            Fate::Lost => self.tally.count(lost_name(to)),
            Fate::Waits => self.tally.count(late_name(from)),
        }
    }

    pub(super) fn arrive(&mut self, from: Party, to: Party, message: Message) {
        match to {
            Party::Node(host) => self.arrive_at_node(from, host, message),
            Party::Client(client) => {
                let client = usize::try_from(client).unwrap_or(usize::MAX);
                self.arrive_at_client(client, message);
            }
            Party::Queue => self.arrive_at_queue(message),
            Party::Scheduler(_) | Party::Worker(_) => self.arrive_at_process(from, to, message),
        }
    }

    pub(super) fn arrive_at_node(&mut self, from: Party, host: usize, message: Message) {
        let here = &self.hosts[host];
        let Some(process) = &here.process else { return };
        let boot = process.boot;
        if here.paused_until_us > self.at_us {
            let until = here.paused_until_us;
            let to = Inbox { of: Party::Node(host), boot };
            return self.at(until, Happening::ArrivesLate { from, to, message });
        }
        let input = match message {
            Message::Push(push) => Input::Push(push),
            Message::Digest(digest) => Input::Digest(digest),
            Message::Letter(letter) => Input::Letter(letter),
            Message::Request { from, request } => Input::Requests(vec![(from, *request)]),
            _ => return,
        };
        self.step(host, boot, input);
    }

    pub(super) fn arrive_at_client(&mut self, client: usize, message: Message) {
        let input = match message {
            Message::Response { response, .. }
                if self.clients[client].direct.contains_key(&response.id) =>
            {
                let asked = self.clients[client].direct.remove(&response.id);
                if let Some(((key, at), Tell::Record(record))) = asked.zip(Some(response.tell)) {
                    self.snapshot(key, at, &record);
                }
                return;
            }
            Message::Response { response, .. } if self.job_reads.contains_key(&response.id) => {
                return self.replica_told(response.id, Some(response.tell));
            }
            Message::Response { response, .. } => ClientInput::Told(*response),
            Message::Heartbeat(heartbeat) => ClientInput::Alive(*heartbeat),
            Message::Nobody { to, turn, .. } => ClientInput::Refused { to, turn },
            Message::Dispatch(dispatch) => return self.dispatch_at_client(client, *dispatch),
            _ => return,
        };
        self.client(client, input);
    }
}

const fn lost_name(to: Party) -> &'static str {
    match to {
        Party::Node(_) => "fault: message to a node lost",
        Party::Client(_) => "fault: message to a client lost",
        Party::Scheduler(_) => "fault: message to a scheduler lost",
        Party::Worker(_) => "fault: message to a worker lost",
        Party::Queue => "fault: message to the queue lost",
    }
}

const fn late_name(from: Party) -> &'static str {
    match from {
        Party::Node(_) => "fault: message of a node late, after a reconnect",
        Party::Client(_) => "fault: message of a client late, after a reconnect",
        Party::Scheduler(_) => "fault: message of a scheduler late, after a reconnect",
        Party::Worker(_) => "fault: message of a worker late, after a reconnect",
        Party::Queue => "fault: message of the queue late, after a reconnect",
    }
}
