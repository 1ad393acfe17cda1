//! One caller: runs one job after the other, and writes down what it was told.

use super::aim::Job;
use super::ledger::{Ledger, Told};
use super::wish::wish;
use catena_client::{Client, Error, ErrorKind, JobId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often a caller who insists sends a job again.
const TRIES: usize = 6;

/// A caller.
pub(super) struct Caller {
    rng: StdRng,
    /// Its own connection, and another one.
    connection: usize,
    clients: [Client; 2],
    ledger: Arc<Ledger>,
    every: Duration,
}

/// What a caller does with one job beside running it.
struct Manner {
    timeout: Duration,
    /// Whether it is run twice at the same time, over two connections.
    twice: bool,
    /// Whether it is run again until its end is known.
    insists: bool,
    /// Whether it is run once more when its end is known.
    doubts: bool,
}

impl Caller {
    pub(super) fn new(
        number: usize,
        seed: u64,
        clients: &[Client; 2],
        ledger: &Arc<Ledger>,
        every: Duration,
    ) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (number as u64 + 1).wrapping_mul(0xd1b5_4a33));
        let connection = number % 2;
        let clients = [clients[connection].clone(), clients[1 - connection].clone()];
        Self { rng, connection, clients, ledger: Arc::clone(ledger), every }
    }

    /// Runs jobs until `stop` says so; the last is seen to its end, or to its timeout.
    pub(super) async fn live(mut self, mut stop: watch::Receiver<bool>) {
        let mut pace = interval(self.every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = pace.tick() => {}
            }
            let aim = wish(&mut self.rng, self.ledger.now_us());
            // What cannot be written down must not be done.
            let Some(job) = self.ledger.open(aim, self.connection) else { return };
            let manner = self.manner();
            self.see_to(&job, &manner, &stop).await;
        }
    }

    fn manner(&mut self) -> Manner {
        Manner {
            timeout: Duration::from_millis(self.rng.random_range(1_500..8_000)),
            twice: self.rng.random_bool(0.1),
            insists: self.rng.random_bool(0.7),
            doubts: self.rng.random_bool(0.1),
        }
    }

    async fn see_to(&self, job: &Job, manner: &Manner, stop: &watch::Receiver<bool>) {
        let [own, other] = &self.clients;
        let end = if manner.twice && job.aim.writes() {
            let both = tokio::join!(
                self.run(own, job, manner, false),
                self.run(other, job, manner, false)
            );
            both.0.max(both.1)
        } else {
            self.run(own, job, manner, true).await
        };
        // Without an idempotency key it would be another job.
        if !job.aim.writes() {
            return;
        }
        let more = match end {
            End::Known if manner.doubts => 1,
            End::Unknown if manner.insists => TRIES,
            _ => 0,
        };
        for _ in 0..more {
            if *stop.borrow() {
                return;
            }
            let again = self.run(own, job, manner, false).await;
            if end == End::Unknown && again != End::Unknown {
                return;
            }
        }
    }

    /// Runs a job, writes down what is told; returns what that says of it. `first`: nobody has sent
    /// it before.
    async fn run(&self, client: &Client, job: &Job, manner: &Manner, first: bool) -> End {
        let input = serde_json::to_vec(job).unwrap_or_default();
        let mut run = client.run(job.aim.chain(), input).timeout(manner.timeout);
        if let Some(key) = job.aim.routing() {
            run = run.key(key);
        }
        if job.aim.writes() {
            run = run.idempotency_key(format!("chaos-{}", job.number));
        }
        let (end, id, told) = match run.await {
            Ok(result) => match result.json::<Job>() {
                Ok(done) => (End::Known, Some(result.job), Told::Done(result.version.0, done)),
                Err(error) => self.failed(&error, first),
            },
            Err(error) => self.failed(&error, first),
        };
        self.ledger.tell(job.number, id, told);
        end
    }

    fn failed(&self, error: &Error, first: bool) -> (End, Option<JobId>, Told) {
        self.ledger.error(format!("{:?}", error.kind()), || error.to_string());
        let end = end_of(error, first);
        let told = if end == End::Unknown { Told::Unknown } else { Told::Refused };
        (end, error.job(), told(error.to_string()))
    }
}

/// What a caller knows of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Nothing for certain.
    Unknown,
    /// It had no effect, unless it is run again.
    Refused,
    /// How it ended, for good.
    Known,
}

/// What an error says of the job. What it says of one call alone counts only if that was the first
/// of the job.
fn end_of(error: &Error, first: bool) -> End {
    use ErrorKind as K;
    let says = error.to_string();
    match error.kind() {
        K::OperatorFailed | K::Conflict | K::Cancelled => End::Known,
        K::BadRequest | K::TooLarge | K::Encode if first => End::Refused,
        K::TooBusy | K::Deadline | K::Unavailable if first => {
            let promises = ["had no effect", "nothing was changed"];
            let doubt = ["is not known", "may still", "may or may not"];
            let has = |part: &&str| says.contains(*part);
            let promised = promises.iter().any(has) && !doubt.iter().any(has);
            if promised { End::Refused } else { End::Unknown }
        }
        _ => End::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::{Code, Fault};

    #[test]
    fn only_a_promise_about_the_whole_job_counts() {
        let end = |code, says: &str, first| end_of(&Error::from(Fault::new(code, says)), first);
        for first in [true, false] {
            assert_eq!(end(Code::OperatorFailed, "sold out: 0 left", first), End::Known);
            let lost = "lost 101 times; nothing was changed";
            assert_eq!(end(Code::Conflict, lost, first), End::Known);
            assert_eq!(end(Code::Deadline, "it may still take effect", first), End::Unknown);
            assert_eq!(end(Code::Internal, "nothing was changed", first), End::Unknown);
            let unknown = "the outcome is not known: nothing was changed";
            assert_eq!(end(Code::Unavailable, unknown, first), End::Unknown);
            let this_call = if first { End::Refused } else { End::Unknown };
            assert_eq!(end(Code::Unavailable, "the job had no effect", first), this_call);
        }
    }
}
