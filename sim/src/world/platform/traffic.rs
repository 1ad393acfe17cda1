//! What arrives at a process of the platform, and what its router sends.

use crate::broker::{Inbox, Message, Party};
use crate::client::wants_the_past;
use crate::platform::{Dispatch, Errand};
use crate::world::{Happening, World};
use catena_client::machine::{Effect as ClientEffect, Input as ClientInput, Router};
use catena_scheduler::machine::Input as SchedulerInput;

impl World {
    fn router(&mut self, who: Inbox) -> Option<&mut Router<Errand>> {
        match who.of {
            Party::Scheduler(at) => {
                let life = self.platform.schedulers[at].life.as_mut();
                life.filter(|life| life.boot == who.boot).map(|life| &mut life.at.router)
            }
            Party::Worker(at) => {
                let life = self.platform.workers[at].life.as_mut();
                life.filter(|life| life.boot == who.boot).map(|life| &mut life.at.router)
            }
            Party::Client(_) | Party::Node(_) | Party::Queue => None,
        }
    }

    /// Whether whoever asked wants something of the past, so that it may lie ahead of the clock.
    pub(in crate::world) fn wants_the_past(&mut self, who: Inbox, request: u64) -> bool {
        if let Party::Client(client) = who.of {
            let client = usize::try_from(client).unwrap_or(usize::MAX);
            return wants_the_past(&self.clients[client].router, request);
        }
        self.router(who).is_none_or(|router| wants_the_past(router, request))
    }

    /// The process's own router is told something.
    pub(super) fn routes(&mut self, who: Inbox, input: ClientInput<Errand>) {
        let now = self.now_of(who.of);
        let mut effects = Vec::new();
        let Some(router) = self.router(who) else { return };
        router.handle(now, input, &mut effects);
        for effect in effects {
            match effect {
                ClientEffect::Send { to, id, turn } => {
                    let request = self.router(who).and_then(|router| router.request(id).cloned());
                    if let Some(request) = request {
                        self.request(who, to, turn, request);
                    }
                }
                ClientEffect::Answer { caller, result } => match caller {
                    Errand::Home(job, commits) => self.home_told(who, job, commits, result),
                    Errand::Inquiry(inquiry) => self.inquiry_told(who, inquiry, result),
                    Errand::Operator(token, wish) => self.wish_told(who, token, wish, result),
                    Errand::Commit(token) => self.commit_told(who, token, result),
                },
            }
        }
        self.set_process_alarm(who.of);
    }

    /// Sends something of a job.
    pub(super) fn dispatch(&mut self, from: Party, to: Party, dispatch: Dispatch) {
        self.send(from, to, Message::Dispatch(Box::new(dispatch)));
    }

    /// Something arrives at a process of the platform.
    pub(in crate::world) fn arrive_at_process(&mut self, from: Party, to: Party, message: Message) {
        let Some(boot) = self.boot_of(to) else { return };
        let here = Inbox { of: to, boot };
        let until = self.paused_until(to);
        if until > self.at_us {
            return self.at(until, Happening::ArrivesLate { from, to: here, message });
        }
        match message {
            // Whoever asked under an earlier boot has another inbox.
            Message::Response { boot: of, response } if of == boot => {
                self.routes(here, ClientInput::Told(*response));
            }
            Message::Nobody { boot: of, to, turn } if of == boot => {
                self.routes(here, ClientInput::Refused { to, turn });
            }
            Message::Heartbeat(heartbeat) => {
                self.routes(here, ClientInput::Alive((*heartbeat).clone()));
                match to {
                    Party::Scheduler(at) => {
                        self.scheduler(at, SchedulerInput::Heartbeat(*heartbeat));
                    }
                    Party::Worker(at) => self.worker_hears(at, *heartbeat),
                    Party::Client(_) | Party::Node(_) | Party::Queue => {}
                }
            }
            Message::Dispatch(dispatch) => match to {
                Party::Scheduler(at) => self.dispatch_at_scheduler(at, boot, *dispatch),
                Party::Worker(at) => self.dispatch_at_worker(at, boot, *dispatch),
                Party::Client(_) | Party::Node(_) | Party::Queue => {}
            },
            _ => {}
        }
    }
}
