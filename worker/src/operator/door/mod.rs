//! Doors: how a service operator reads and writes as a part of its job.
//!
//! ```text
//! worker  --input, with a subject for each verb--> service
//! service --request on catena.snapshot.<worker>.<token>.<verb>.<key>--> worker
//!         <--text or JSON, as from the store's edge--
//! ```
//!
//! Promise: what comes through a door is done by the [`Context`] of the step that it was opened
//! for, so all of that context's promises hold; the door is shut when the step ends, however it
//! ends, and from then on everybody there is told so. Only who was given the token finds it.
//!
//! Requests that are under way are bounded; more are answered 429.

mod answer;
mod request;

use super::Context;
use answer::Answer;
use async_nats::{Client, Message, SubscribeError};
use catena_protocol::chain::Effect;
use catena_protocol::subject::{StoreVerb, Subjects};
use catena_protocol::{Code, Fault, NodeId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most requests under way at once, over all steps of a worker.
const OPEN: usize = 1_024;

/// The doors of all steps of a worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Doors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    subjects: Arc<Subjects>,
    worker: NodeId,
    open: Mutex<HashMap<String, Behind>>,
}

/// What is behind a door.
#[derive(Clone, Debug)]
struct Behind {
    context: Context,
    /// The first time that the store was away, or had moved on.
    trouble: Arc<Mutex<Option<Fault>>>,
}

/// The door of one step; shut when it is dropped.
pub(super) struct Door {
    all: Doors,
    token: String,
    effect: Effect,
    trouble: Arc<Mutex<Option<Fault>>>,
}

impl Doors {
    /// The doors of `worker`; none is open yet.
    pub fn new(subjects: Arc<Subjects>, worker: NodeId) -> Self {
        Self(Arc::new(Shared { subjects, worker, open: Mutex::default() }))
    }

    /// Opens one for a step that may touch the store.
    pub(super) fn open(&self, context: &Context) -> Option<Door> {
        let effect = context.effect();
        if effect == Effect::Pure {
            return None;
        }
        let token = format!("{:032x}", rand::random::<u128>());
        let behind = Behind { context: context.clone(), trouble: Arc::default() };
        let trouble = Arc::clone(&behind.trouble);
        self.lock().insert(token.clone(), behind);
        Some(Door { all: self.clone(), token, effect, trouble })
    }

    /// Begins to listen. The future that it returns answers until the connection is closed; drop
    /// it to end.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn listen(
        &self,
        client: &Client,
    ) -> Result<impl Future<Output = ()> + Send + use<>, SubscribeError> {
        let subject = self.0.subjects.snapshots(&self.0.worker);
        let mut requests = client.subscribe(subject).await?;
        let (doors, client) = (self.clone(), client.clone());
        Ok(async move {
            let mut under_way = FuturesUnordered::new();
            loop {
                tokio::select! {
                    next = requests.next() => {
                        let Some(message) = next else { return };
                        let full = under_way.len() >= OPEN;
                        under_way.push(doors.clone().serve(client.clone(), message, full));
                    }
                    Some(()) = under_way.next(), if !under_way.is_empty() => {}
                }
            }
        })
    }

    async fn serve(self, client: Client, message: Message, full: bool) {
        let Some(reply) = message.reply.clone() else { return };
        let answer = match full {
            true => Answer::bad(Fault::new(
                Code::TooBusy,
                format!("{OPEN} requests of service operators are under way; nothing was done"),
            )),
            false => self.answer(&message).await.unwrap_or_else(Answer::bad),
        };
        answer.send(&client, reply).await;
    }

    async fn answer(&self, message: &Message) -> Result<Answer, Fault> {
        let parsed = self.0.subjects.parse_snapshot(&message.subject);
        let (token, verb, key) = parsed.ok_or_else(|| wrong_subject(&message.subject))?;
        let behind = self.lock().get(token).cloned().ok_or_else(shut)?;
        let verb = verb.ok_or_else(|| wrong_subject(&message.subject))?;
        let done = request::perform(&behind.context, verb, key, message).await;
        if let Err(fault) = &done {
            behind.note(fault);
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Behind>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Behind {
    /// Keeps what is neither the service's fault nor its business, so that the job runs again.
    fn note(&self, fault: &Fault) {
        if matches!(fault.code, Code::Unavailable | Code::Conflict) {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.get_or_insert_with(|| Fault::new(Code::Conflict, fault.message.clone()));
        }
    }
}

impl Door {
    /// A header with a subject for each verb that the step may use.
    pub(super) fn subjects(&self) -> impl Iterator<Item = (&'static str, String)> {
        let reads = |verb: &StoreVerb| matches!(verb, StoreVerb::Read | StoreVerb::Scan);
        let verbs = StoreVerb::ALL.into_iter().map(|(verb, _)| verb);
        let allowed = verbs.filter(move |verb| self.effect == Effect::Writing || reads(verb));
        let Shared { subjects, worker, .. } = &*self.all.0;
        allowed.map(|verb| (verb.header(), subjects.snapshot(worker, &self.token, verb)))
    }

    /// What went wrong in the store, if anything did: then the job runs again.
    pub(super) fn trouble(&self) -> Option<Fault> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.all.lock().remove(&self.token);
    }
}

fn shut() -> Fault {
    let message = "there is no such step here, or it has ended; nothing was done";
    Fault::new(Code::Cancelled, message)
}

fn wrong_subject(subject: &str) -> Fault {
    let subject: String = subject.chars().take(200).collect();
    Fault::bad_request(format_args!(
        "`{subject}` is no request to a step; expected the subject of a header such as \
         `Catena-Read`, a dot, and the key; nothing was done"
    ))
}
