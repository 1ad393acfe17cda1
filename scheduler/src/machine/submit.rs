//! **submit**: admission. A job gets in with everything it needs, or is refused at once.
//!
//! Unknown here: where a submission came from, beyond how it wants its answer.

use super::chains::Ready;
use super::jobs::{Caller, Job, JobKey};
use super::{Effect, Queueing, Scheduler, balance};
use bytes::Bytes;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::finish::{Answer, Finished};
use catena_protocol::{Code, Fault, JobId, Name, Timestamp, limit};
use std::sync::Arc;

/// A job as its submitter wants it.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Which job.
    pub identity: Identity,
    /// What it runs.
    pub called: Called,
    /// Its input.
    pub input: Bytes,
    /// Its deadline in milliseconds from now; 0: the chain's.
    pub deadline_ms: u64,
    /// How long the caller waits, in milliseconds; 0: until the deadline.
    pub wait_ms: u64,
    /// Causality token: the snapshot is at least this.
    pub after: Timestamp,
    /// W3C trace context.
    pub trace: Option<String>,
    /// Whether its caller wants to know what it took.
    pub explain: bool,
    /// Where it came from, and so what happens at its end.
    pub source: Source,
}

/// What a job's id is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The submitter chose it.
    Given {
        /// The id.
        job: JobId,
        /// Whether it stands for an idempotency key, so that an outcome must be recorded.
        keyed: bool,
    },
    /// The submitter chose it by chance, has sent it nowhere else, and takes another one if the
    /// chain's `key` finds another home.
    Proposed {
        /// The id.
        job: JobId,
    },
    /// From an idempotency key. It stands for one job whatever the chain's `key` finds: that may
    /// be set anew, or find something else in another input.
    Key {
        /// The key.
        idempotency: String,
        /// Chooses the home partition.
        routing: Option<String>,
    },
    /// From the name of one submission, which comes again as it was.
    Request {
        /// The name.
        request: String,
        /// Chooses the home partition.
        routing: Option<String>,
    },
    /// By chance.
    Random {
        /// Chooses the home partition.
        routing: Option<String>,
    },
}

/// Which chain is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// A defined one.
    Named(Name),
    /// The one that this text defines.
    Inline(String),
}

/// Where a job came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `run`: somebody waits.
    Run(Reply),
    /// `submit`: it is to be put on the durable queue; who asked is told so.
    Enqueue(Option<Reply>),
    /// The durable queue.
    Queue {
        /// Names the message until it is released.
        token: u64,
        /// Whether it was delivered before, so that an outcome may exist.
        again: bool,
        /// When it was put on the queue, in milliseconds of the wall clock.
        stored_ms: u64,
    },
}

/// A submission that was not admitted, and why.
pub(super) type Refused = Box<(Submission, Fault)>;

impl Scheduler {
    pub(super) fn submit(&mut self, now: Now, submission: Submission, out: &mut Vec<Effect>) {
        self.counters.submitted += 1;
        if let Err(refused) = self.try_submit(now, submission, out) {
            self.park_or_refuse(now, refused, out);
        }
    }

    pub(super) fn try_submit(
        &mut self,
        now: Now,
        submission: Submission,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        match self.admit(now, &submission) {
            Ok(Admitted::New { job, keyed, chain, asks }) => {
                self.start(now, submission, (job, keyed, asks), chain, out);
                Ok(())
            }
            Ok(Admitted::Running(key)) => {
                self.join(now, key, submission, out);
                Ok(())
            }
            Ok(Admitted::Elsewhere { job, pointer }) => {
                if let Source::Run(reply) = submission.source {
                    let result = Answer::Elsewhere { pointer };
                    out.push(answer(reply, job, Timestamp::ZERO, result));
                }
                Ok(())
            }
            Ok(Admitted::ForQueue(job)) => {
                self.enqueue(job, submission, out);
                Ok(())
            }
            Err(fault) => Err(Box::new((submission, fault))),
        }
    }

    /// Decides, and takes a place for every step if the job is to start now.
    fn admit(&mut self, now: Now, submission: &Submission) -> Result<Admitted, Fault> {
        let chain = self.chains.ready(&submission.called, &self.operators)?;
        let bytes = submission.input.len();
        if bytes > limit::PAYLOAD_BYTES {
            return Err(Fault::new(
                Code::TooLarge,
                format!(
                    "the input has {bytes} bytes; at most {} are allowed; nothing was started",
                    limit::PAYLOAD_BYTES
                ),
            ));
        }
        let (job, keyed) = self.identify(now, submission, Some(&chain))?;
        self.check_id(now, &job, &submission.source)?;
        self.clock.observe(submission.after, now.wall_us).map_err(Fault::bad_request)?;
        if matches!(submission.source, Source::Enqueue(_)) {
            return Ok(Admitted::ForQueue(job));
        }
        if let Some(key) = self.jobs.find(&job) {
            return Ok(Admitted::Running(key));
        }
        if let Some(pointer) = self.better_home(submission, &chain) {
            return Ok(Admitted::Elsewhere { job, pointer });
        }
        self.check_room(bytes)?;
        let asks = asks_first(&submission.source, keyed, &chain);
        if !asks {
            let Self { workers, operators, plan, .. } = self;
            balance::plan(workers, operators, &chain, plan)?;
        }
        Ok(Admitted::New { job, keyed, chain, asks })
    }

    pub(super) fn check_room(&self, bytes: usize) -> Result<(), Fault> {
        let full = |what: String| {
            Err(Fault::new(Code::TooBusy, format!("{what}; nothing was started; try again later")))
        };
        if self.jobs.len() >= self.settings.max_jobs {
            return full(format!("this scheduler has {} jobs in flight", self.jobs.len()));
        }
        if self.jobs.held + self.parked.held + bytes > self.settings.held_bytes {
            return full(format!("this scheduler holds {} bytes of inputs", self.jobs.held));
        }
        Ok(())
    }

    fn start(
        &mut self,
        now: Now,
        submission: Submission,
        (id, keyed, asks): (JobId, bool, bool),
        chain: Arc<Ready>,
        out: &mut Vec<Effect>,
    ) {
        let now_ms = now.mono_ms();
        let most_ms = match submission.source {
            Source::Run(_) => limit::RUN_DEADLINE_MAX_MS,
            Source::Enqueue(_) | Source::Queue { .. } => limit::DEADLINE_MAX_MS,
        };
        let asked_ms = match submission.deadline_ms {
            0 => chain.deadline_ms,
            ms => ms,
        };
        let asked_ms = asked_ms.min(most_ms);
        let queued = matches!(submission.source, Source::Queue { .. });
        let keep_ms = if queued {
            Some(limit::OUTCOME_SUBMIT_MS)
        } else {
            (keyed || chain.writes).then_some(limit::OUTCOME_RUN_MS)
        };
        let name = chain.chain.name.clone();
        let mut job = Job::new(id, name, submission.input, now, asked_ms);
        job.chain = Some(chain);
        job.trace = submission.trace;
        job.explain = submission.explain;
        job.after = submission.after;
        job.keep_ms = keep_ms;
        job.plan = std::mem::take(&mut self.plan);
        match submission.source {
            Source::Run(reply) => {
                let wait = if submission.wait_ms == 0 { asked_ms } else { submission.wait_ms };
                job.rider = Some(Caller { reply, until_ms: now_ms.saturating_add(wait) });
            }
            Source::Queue { token, .. } => job.tokens.push(token),
            Source::Enqueue(_) => {}
        }
        let key = self.jobs.insert(job);
        self.longest.begins(now_ms, asked_ms);
        if asks {
            self.ask_home(now, key, out);
        } else {
            self.publish(now, key, out);
        }
        self.watch(now_ms, key);
    }

    /// Another caller for a job that is in flight already.
    fn join(&mut self, now: Now, key: JobKey, submission: Submission, out: &mut Vec<Effect>) {
        let most = self.settings.callers;
        let now_ms = now.mono_ms();
        let Some(job) = self.jobs.get_mut(key) else { return };
        let id = job.id;
        self.counters.joined += 1;
        match submission.source {
            Source::Run(reply) => {
                let left_ms = job.deadline_ms.saturating_sub(now_ms);
                let wait = if submission.wait_ms == 0 { left_ms } else { submission.wait_ms };
                let until_ms = now_ms.saturating_add(wait);
                let mut known = job.rider.iter_mut().chain(&mut job.others);
                if let Some(known) = known.find(|known| known.reply == reply) {
                    known.until_ms = known.until_ms.max(until_ms);
                } else if job.others.len() >= most {
                    let fault = Fault::new(
                        Code::TooBusy,
                        format!("{most} callers wait for job `{id}` already; ask for its status"),
                    );
                    out.push(answer(reply, id, Timestamp::ZERO, Answer::Fault(fault)));
                } else {
                    job.others.push(Caller { reply, until_ms });
                }
            }
            Source::Queue { token, .. } => {
                job.keep_ms = Some(limit::OUTCOME_SUBMIT_MS);
                if job.tokens.len() < most {
                    job.tokens.push(token);
                } else {
                    out.push(Effect::Release { token, done: false });
                }
            }
            Source::Enqueue(_) => {}
        }
        self.watch(now_ms, key);
    }

    fn enqueue(&mut self, job: JobId, submission: Submission, out: &mut Vec<Effect>) {
        let Source::Enqueue(reply) = submission.source else { return };
        out.push(Effect::Enqueue(Queueing {
            job,
            called: submission.called,
            input: submission.input,
            deadline_ms: submission.deadline_ms,
            after: submission.after,
            trace: submission.trace,
            reply,
        }));
    }
}

enum Admitted {
    /// `asks`: its home is asked first whether it has ended already.
    New {
        job: JobId,
        keyed: bool,
        chain: Arc<Ready>,
        asks: bool,
    },
    Running(JobKey),
    ForQueue(JobId),
    Elsewhere {
        job: JobId,
        pointer: String,
    },
}

/// Whether the home has to say that a job has not ended yet before it is run. Otherwise it says so
/// when the job commits. What is written at once is written by then.
fn asks_first(source: &Source, keyed: bool, chain: &Ready) -> bool {
    let queued = matches!(source, Source::Queue { .. });
    let again = matches!(source, Source::Queue { again: true, .. });
    again || (chain.writes_at_once() && (keyed || queued))
}

/// An answer to a caller.
pub(super) fn answer(reply: Reply, job: JobId, version: Timestamp, result: Answer) -> Effect {
    Effect::Answer { reply, finished: Finished { job, version, result, explained: None } }
}
