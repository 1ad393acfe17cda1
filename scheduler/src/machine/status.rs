//! Questions about a scheduler that change nothing.

use super::Scheduler;
use super::jobs::Phase;
use catena_protocol::chain::{Effect, Service};
use catena_protocol::message::heartbeat::Offer;
use catena_protocol::{Fault, JobId, Name, NodeId};
use serde::Serialize;
use std::num::NonZeroU16;

/// Where a job stands that is in flight here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Which job.
    pub job: JobId,
    /// `running`: an attempt is with the workers; `waiting`: the next one is about to start;
    /// `ending`: its outcome is being recorded or looked up.
    pub state: &'static str,
    /// What it runs.
    pub chain: Name,
    /// How many steps it has.
    pub steps: usize,
    /// Attempts so far.
    pub attempts: u32,
    /// The worker of each step.
    pub plan: Vec<NodeId>,
    /// What the last attempt stumbled over.
    pub trouble: Option<String>,
}

/// Steps of this scheduler on one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerLoad {
    /// Which worker.
    pub worker: NodeId,
    /// Whether it is heard.
    pub alive: bool,
    /// Whether it is about to leave.
    pub draining: bool,
    /// Steps of ours that it has.
    pub outstanding: u32,
    /// Steps of ours that it may have.
    pub credit: u32,
}

/// An operator that can be named in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownOperator {
    /// Its name.
    pub name: Name,
    /// Whether it touches the store.
    pub effect: Effect,
    /// One line of help.
    pub help: String,
    /// `built-in`, `native` or `service`.
    pub kind: &'static str,
    /// Workers that run it now.
    pub workers: usize,
}

/// What happened so far. Only ever counts up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "each is named by what it counts, and documented where shown")]
pub struct Counters {
    pub submitted: u64,
    pub refused: u64,
    pub joined: u64,
    pub attempts: u64,
    pub steps: u64,
    pub good: u64,
    pub bad: u64,
    pub retries: u64,
    pub conflicts: u64,
    pub repeated: u64,
    pub lost: u64,
    pub expired: u64,
    pub late: u64,
    pub workers_lost: u64,
}

impl Scheduler {
    /// Where a job stands; none: it is not in flight here.
    pub fn standing(&self, id: &JobId) -> Option<Standing> {
        let job = self.jobs.get(self.jobs.find(id)?)?;
        let plan = job.plan.iter().filter_map(|worker| self.workers.get(*worker));
        Some(Standing {
            job: job.id,
            state: match job.phase {
                Phase::Running => "running",
                Phase::Delayed => "waiting",
                Phase::Asking | Phase::Recording(_) => "ending",
            },
            chain: job.called().clone(),
            steps: job.chain.as_ref().map_or(0, |chain| chain.seats.len()),
            attempts: job.attempts,
            plan: plan.map(|worker| worker.node.clone()).collect(),
            trouble: job.trouble.as_ref().map(ToString::to_string),
        })
    }

    /// Whether a chain has a definition here, good or bad.
    pub fn has_chain(&self, name: &Name) -> bool {
        self.chains.knows(name)
    }

    /// Jobs in flight.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// How many more jobs would be admitted.
    pub fn room(&self) -> usize {
        let full = self.jobs.held + self.parked.held >= self.settings.held_bytes;
        if full { 0 } else { self.settings.max_jobs.saturating_sub(self.jobs.len()) }
    }

    /// Bytes of inputs that are held.
    pub fn held_bytes(&self) -> usize {
        self.jobs.held + self.parked.held
    }

    /// Submissions that wait for a worker or a definition.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// What happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Partitions of the cluster, as far as known.
    pub fn partitions(&self) -> u16 {
        self.partitions.map_or(catena_protocol::limit::PARTITIONS, NonZeroU16::get)
    }

    /// The load of every worker.
    pub fn workers(&self) -> Vec<WorkerLoad> {
        let load = |(worker, seats): (&super::workers::Worker, super::workers::Seats)| WorkerLoad {
            worker: worker.node.clone(),
            alive: worker.alive,
            draining: worker.draining,
            outstanding: seats.taken,
            credit: worker.credit,
        };
        self.workers.iter().map(load).collect()
    }

    /// Every operator that can be named in a chain.
    pub fn operators(&self) -> Vec<KnownOperator> {
        let kind = |native: bool| if native { "native" } else { "built-in" };
        let known = |operator: &super::operators::Operator| {
            let (effect, help, kind) = match (&operator.offer, &operator.service) {
                (Some(Offer { effect, help, native, .. }), _) => {
                    (*effect, help.clone(), kind(*native))
                }
                (None, Some(Service { effect, description, subject })) => {
                    let help = description.clone().unwrap_or_else(|| format!("asks {subject}"));
                    (*effect, help, "service")
                }
                (None, None) => return None,
            };
            let workers = operator.workers.len();
            Some(KnownOperator { name: operator.name.clone(), effect, help, kind, workers })
        };
        self.operators.iter().filter_map(known).collect()
    }

    /// Whether all operators of a definition are known, and for each step that a worker runs one
    /// of these workers, to ask it whether the settings are right.
    ///
    /// # Errors
    /// 404 with the first operator that is not known.
    pub fn resolve(
        &self,
        definition: &catena_protocol::chain::Definition,
    ) -> Result<Vec<Option<NodeId>>, Fault> {
        let inline = super::chains::inline();
        let ready = super::chains::resolve(&inline, definition, &self.operators)?;
        ready.seats.iter().map(|seat| self.judge(seat)).collect()
    }

    /// Who can say whether the settings of a step are right: a worker that was heard lately, else
    /// any that ever offered the operator (it may only be slow). Nobody judges a service's.
    fn judge(&self, seat: &super::chains::Seat) -> Result<Option<NodeId>, Fault> {
        let super::chains::Seat::Offered(id) = seat else { return Ok(None) };
        let offering = self.operators.get(*id).map_or(&[][..], |operator| &operator.workers[..]);
        let usable = offering.iter().find(|worker| self.workers.is_usable(**worker));
        let known = usable.or(offering.first()).and_then(|worker| self.workers.get(*worker));
        known.map(|known| Some(known.node.clone())).ok_or_else(|| {
            let text = "no worker is there to check the settings; nothing was changed; try again";
            Fault::new(catena_protocol::Code::Unavailable, text)
        })
    }
}
