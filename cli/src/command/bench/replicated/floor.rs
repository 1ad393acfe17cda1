//! The bare floor of a replicated store over NATS.
//!
//! ```text
//! write: client -> one subject -> n processes, each appends and syncs what is queued -> client
//!        acknowledged when a majority has answered
//! read:  client -> one of the processes -> client
//! ```
//!
//! Two floors: in one, what is ready in the same turn goes together, as Catena's client library and
//! storage nodes do it; in the other every operation is a message of its own, and every answer.

use super::bare;
use super::message;
use super::operation::{Case, Operation};
use super::quorum::Quorum;
use crate::command::bench::drive::{Measured, WARM_UP, histogram};
use crate::failure::Failure;
use crate::program::program;
use async_nats::{Client, Message, Subject};
use catena_link::{Settings, connect};
use futures_util::StreamExt;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Child;

/// The processes of the floor. Dropped, they end.
pub(crate) struct Floor {
    client: Client,
    replicas: usize,
    processes: Vec<Child>,
}

/// Whether operations of one turn share a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    Together,
    Each,
}

/// Bytes of a shared message, as in `catena_link::Outbox`.
const SHARED: usize = 64 * 1024;
/// Answers taken at once at most.
const MOST: usize = 512;
/// How long answers may be missing behind the end.
const LATE: Duration = Duration::from_secs(10);
/// How long a process may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

impl Floor {
    /// Starts `replicas` processes that append to files in `folder`, and waits until they answer.
    pub(crate) async fn start(url: &str, folder: &Path, replicas: usize) -> Result<Self, Failure> {
        let client = connect(Settings::url(url), "floor-client", false).await?.client;
        let processes: Result<_, Failure> =
            (0..replicas).map(|replica| process(url, folder, replica)).collect();
        let floor = Self { client, replicas, processes: processes? };
        let answered = tokio::time::timeout(BEGIN, floor.answers(replicas)).await;
        answered.map_err(|_| Failure::new("a process of the floor did not begin"))?;
        Ok(floor)
    }

    /// Returns when the first so many replicas answer.
    async fn answers(&self, replicas: usize) {
        for replica in 0..replicas {
            let empty = message::encode(&[], 0);
            let subject = bare::read_subject(replica);
            let mut pause = Duration::from_millis(2);
            while self.client.request(subject.clone(), empty.clone()).await.is_err() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
            }
        }
    }

    /// Measures, and waits until all replicas have answered everything: what the slowest of them
    /// still has to do must not weigh on what is measured next.
    pub(crate) async fn measure(&self, case: &Case, sharing: Sharing) -> Result<Measured, Failure> {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await.map_err(Failure::new)?;
        let mut answers = answers.ready_chunks(MOST);
        let mut run = Run::new(self, case, sharing, inbox.into());
        run.send((0..case.in_flight).collect()).await?;
        let late = tokio::time::sleep_until((run.end + LATE).into());
        tokio::pin!(late);
        while run.missing > 0 {
            let ready = tokio::select! {
                ready = answers.next() => ready.unwrap_or_default(),
                () = &mut late => return Err(Failure::new("an answer of the floor was lost")),
            };
            run.take(ready).await?;
        }
        Ok(Measured::new(run.counted, run.total, case.time))
    }

    /// Ends the processes and waits until they are gone.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        for process in &mut self.processes {
            process.kill().await?;
        }
        Ok(())
    }
}

fn process(url: &str, folder: &Path, replica: usize) -> Result<Child, Failure> {
    let mut command = program(url)?;
    command.args(["bare-replica", "--replica"]).arg(replica.to_string());
    command.arg("--file").arg(folder.join(format!("floor-{replica}.log")));
    // The process ends when its standard input does.
    Ok(command.stdin(Stdio::piped()).spawn()?)
}

/// A measurement under way.
struct Run<'a> {
    client: &'a Client,
    replicas: usize,
    case: Case,
    sharing: Sharing,
    inbox: Subject,
    quorum: Quorum,
    counting_from: Instant,
    end: Instant,
    counted: Histogram<u64>,
    total: u64,
    /// Answers that are on their way.
    missing: usize,
}

impl<'a> Run<'a> {
    fn new(floor: &'a Floor, case: &Case, sharing: Sharing, inbox: Subject) -> Self {
        let replicas = floor.replicas;
        let needed = if case.operation == Operation::Read { 1 } else { replicas / 2 + 1 };
        let counting_from = Instant::now() + case.time.mul_f64(WARM_UP);
        Self {
            client: &floor.client,
            replicas,
            case: *case,
            sharing,
            inbox,
            quorum: Quorum::new(case.in_flight, needed),
            counting_from,
            end: counting_from + case.time,
            counted: histogram(),
            total: 0,
            missing: 0,
        }
    }

    /// Takes answers; the lanes that they complete go on, until the end.
    async fn take(&mut self, answers: Vec<Message>) -> Result<(), Failure> {
        let now = Instant::now();
        let mut done = Vec::new();
        for answer in answers {
            for number in message::numbers(&answer.payload)? {
                self.missing = self.missing.saturating_sub(1);
                let Some((lane, since)) = self.quorum.answered(number) else { continue };
                self.total += 1;
                if now >= self.counting_from && now < self.end {
                    self.counted.saturating_record(now.duration_since(since).as_micros() as u64);
                }
                done.push(lane);
            }
        }
        if now < self.end { self.send(done).await } else { Ok(()) }
    }

    /// Begins the next operation of these lanes.
    async fn send(&mut self, lanes: Vec<usize>) -> Result<(), Failure> {
        let (subjects, answers) = self.subjects();
        self.missing += lanes.len() * answers;
        let most = match self.sharing {
            Sharing::Together => (SHARED / (8 + self.case.payload)).max(1),
            Sharing::Each => 1,
        };
        let mut by_subject: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for lane in lanes {
            let number = self.quorum.begin(lane, Instant::now());
            by_subject.entry(lane % subjects.len()).or_default().push(number);
        }
        for (subject, numbers) in by_subject {
            for numbers in numbers.chunks(most) {
                let bytes = message::encode(numbers, self.case.payload);
                let (subject, reply) = (subjects[subject].clone(), self.inbox.clone());
                let sent = self.client.publish_with_reply(subject, reply, bytes).await;
                sent.map_err(Failure::new)?;
            }
        }
        Ok(())
    }

    /// Where operations go, and how many replicas answer each.
    fn subjects(&self) -> (Vec<String>, usize) {
        match (self.case.operation, self.sharing) {
            (Operation::Read, _) => ((0..self.replicas).map(bare::read_subject).collect(), 1),
            (_, Sharing::Together) => (vec![bare::WRITE_TOGETHER.to_owned()], self.replicas),
            (_, Sharing::Each) => (vec![bare::WRITE_EACH.to_owned()], self.replicas),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::super::bare::BareReplica;
    use super::*;
    use catena_testing::{NatsServer, within};
    use tokio::task::JoinSet;

    const LANES: usize = 8;
    const PAYLOAD: usize = 100;

    /// A floor of three replicas, of which only the first so many live, in this process.
    async fn floor(server: &NatsServer, live: usize) -> (Floor, JoinSet<Result<(), Failure>>) {
        let mut tasks = JoinSet::new();
        for replica in 0..live {
            let client = server.connect("floor").await.client;
            let file = server.folder().join(format!("floor-{replica}.log"));
            tasks.spawn(BareReplica { replica, file }.serve(client));
        }
        let client = server.connect("floor-client").await.client;
        let floor = Floor { client, replicas: 3, processes: Vec::new() };
        within(10, "answers of the replicas", floor.answers(live)).await;
        (floor, tasks)
    }

    /// Writes until `enough`; returns how many were acknowledged.
    async fn written(floor: &Floor, sharing: Sharing, enough: impl Fn(&Run<'_>) -> bool) -> u64 {
        let time = Duration::from_secs(60);
        let operation = Operation::Write;
        let case = Case { operation, payload: PAYLOAD, in_flight: LANES, time };
        let inbox = floor.client.new_inbox();
        let mut answers = floor.client.subscribe(inbox.clone()).await.unwrap().ready_chunks(MOST);
        let mut run = Run::new(floor, &case, sharing, inbox.into());
        run.send((0..LANES).collect()).await.unwrap();
        while !enough(&run) {
            let ready = within(10, "an answer", answers.next()).await.unwrap();
            run.take(ready).await.unwrap();
        }
        run.total
    }

    #[tokio::test]
    async fn two_of_three_acknowledge_what_both_have_appended() {
        for sharing in [Sharing::Together, Sharing::Each] {
            let server = NatsServer::start().await;
            let (floor, _tasks) = floor(&server, 2).await;
            let acknowledged = written(&floor, sharing, |run| run.total >= 100).await;
            for replica in 0..2 {
                let file = server.folder().join(format!("floor-{replica}.log"));
                let bytes = file.metadata().unwrap().len();
                assert!(bytes >= acknowledged * PAYLOAD as u64, "{sharing:?}: {bytes} bytes");
            }
        }
    }

    #[tokio::test]
    async fn one_of_three_acknowledges_nothing() {
        let server = NatsServer::start().await;
        let (floor, _tasks) = floor(&server, 1).await;
        let all_answered_once = |run: &Run<'_>| run.missing == LANES * 2;
        assert_eq!(written(&floor, Sharing::Together, all_answered_once).await, 0);
    }
}
