//! Breaking the cluster, and making it whole again.

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::process::signal;
use crate::proxy::Weather;
use crate::schedule::{Blow, NODES};
use catena_link::Link;
use catena_protocol::message::status::NodeStatus;
use catena_protocol::placement::Member;
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a node may take to notice that its disk is full or fails. It syncs all the time.
const NOTICE: Duration = Duration::from_secs(20);
/// How long a node may take to end when it is asked to.
const DRAIN: Duration = Duration::from_secs(20);
/// How long it may take until a new disk has all the votes of the lost one.
const VOTES: Duration = Duration::from_secs(60);
/// How long storage nodes are waited for that are asked how they are.
const ANSWERS: Duration = Duration::from_secs(1);
/// Between two such questions.
const LOOK: Duration = Duration::from_millis(100);

/// What became of a blow.
pub(crate) enum Struck {
    Done,
    /// This machine does not let it happen.
    Skipped(String),
}

impl Cluster {
    /// Breaks something. What it broke stays so until `heal`.
    pub(crate) async fn strike(&mut self, blow: &Blow) -> Result<Struck, Failure> {
        match blow.fault {
            Fault::Kill | Fault::WorkerKill | Fault::SchedulerKill | Fault::KillAll => {
                self.kill(blow).await?;
            }
            Fault::Stop | Fault::WorkerStop | Fault::SchedulerStop => {
                self.signal(blow, "STOP").await?;
            }
            Fault::Term => self.terminate(blow).await?,
            Fault::Cut | Fault::WorkerCut | Fault::SchedulerCut => {
                self.weather(blow, |w| (w.deaf, w.mute) = (true, true));
            }
            Fault::Deaf => self.weather(blow, |w| w.deaf = true),
            Fault::Mute => self.weather(blow, |w| w.mute = true),
            Fault::Slow => self.weather(blow, |w| w.delay = blow.delay),
            Fault::Reset => self.struck(blow).for_each(|node| node.proxy.close()),
            Fault::NatsKill => match &mut self.nats {
                Some(nats) => nats.kill().await?,
                None => return Ok(Struck::Skipped("there is no NATS server".to_owned())),
            },
            Fault::NatsStop => self.signal_nats("STOP").await?,
            Fault::Wipe => self.wipe(blow).await?,
            Fault::DiskFull => return self.fill_disk(blow).await,
            Fault::SyncFails => return self.fail_sync(blow).await,
        }
        Ok(Struck::Done)
    }

    /// Undoes what `strike` did with the same blow.
    pub(crate) async fn heal(&mut self, blow: &Blow) -> Result<(), Failure> {
        match blow.fault {
            Fault::Stop | Fault::WorkerStop | Fault::SchedulerStop => {
                self.signal(blow, "CONT").await?;
            }
            Fault::Cut
            | Fault::Deaf
            | Fault::Mute
            | Fault::Slow
            | Fault::WorkerCut
            | Fault::SchedulerCut => self.clear(blow),
            Fault::Reset => {}
            Fault::NatsKill => {
                if let Some(nats) = self.nats.take() {
                    self.nats = Some(nats.start_again().await?);
                }
            }
            Fault::NatsStop => self.signal_nats("CONT").await?,
            Fault::DiskFull => {
                self.struck(blow)
                    .filter_map(|n| n.disk.as_ref().ok())
                    .try_for_each(|d| d.empty())?;
                self.start_again(blow).await?;
            }
            Fault::Kill
            | Fault::WorkerKill
            | Fault::SchedulerKill
            | Fault::KillAll
            | Fault::Term
            | Fault::SyncFails => self.start_again(blow).await?,
            Fault::Wipe => {
                self.start_again(blow).await?;
                self.voted_in(blow).await?;
            }
        }
        Ok(())
    }

    fn struck<'a>(&'a self, blow: &'a Blow) -> impl Iterator<Item = &'a crate::node::Node> {
        blow.nodes.iter().map(|number| &self.nodes[*number])
    }

    async fn kill(&mut self, blow: &Blow) -> io::Result<()> {
        // All get the signal before anybody is waited for.
        for number in &blow.nodes {
            self.nodes[*number].process.signal("KILL").await?;
        }
        for number in &blow.nodes {
            self.nodes[*number].process.kill().await?;
        }
        Ok(())
    }

    async fn start_again(&mut self, blow: &Blow) -> io::Result<()> {
        for number in &blow.nodes {
            self.nodes[*number].start_again().await?;
        }
        Ok(())
    }

    async fn signal(&self, blow: &Blow, name: &str) -> io::Result<()> {
        for node in self.struck(blow) {
            node.process.signal(name).await?;
        }
        Ok(())
    }

    async fn signal_nats(&self, name: &str) -> io::Result<()> {
        match self.nats.as_ref().and_then(catena_nats_server::NatsServer::pid) {
            Some(pid) => signal(pid, name).await,
            None => Ok(()),
        }
    }

    fn weather(&self, blow: &Blow, change: impl Fn(&mut Weather)) {
        self.struck(blow).for_each(|node| node.proxy.set(&change));
    }

    fn clear(&self, blow: &Blow) {
        self.weather(blow, Weather::clear);
        if blow.closes {
            self.struck(blow).for_each(|node| node.proxy.close());
        }
    }

    async fn terminate(&mut self, blow: &Blow) -> io::Result<()> {
        for number in &blow.nodes {
            let process = &mut self.nodes[*number].process;
            process.signal("TERM").await?;
            let ended = process.ends(DRAIN).await?;
            if !ended.is_some_and(|status| status.success()) {
                self.complain(*number, "was asked to end and did not end well", ended);
            }
        }
        Ok(())
    }

    async fn wipe(&mut self, blow: &Blow) -> io::Result<()> {
        self.kill(blow).await?;
        self.struck(blow).try_for_each(crate::node::Node::lose_disk)
    }

    async fn fill_disk(&mut self, blow: &Blow) -> Result<Struck, Failure> {
        for number in &blow.nodes {
            match &self.nodes[*number].disk {
                Ok(disk) => disk.fill()?,
                Err(why) => return Ok(Struck::Skipped(why.clone())),
            }
            // What it has reserved of the disk may be enough for as long as this lasts.
            self.ends_badly(*number, "has a full disk").await?;
        }
        Ok(Struck::Done)
    }

    async fn fail_sync(&mut self, blow: &Blow) -> Result<Struck, Failure> {
        if !can_strace().await {
            return Ok(Struck::Skipped("`strace` is missing or may not trace".to_owned()));
        }
        for number in &blow.nodes {
            self.nodes[*number].start_with_failing_sync(blow.sync).await?;
            if !self.ends_badly(*number, "had a failed sync").await? {
                self.complain(*number, "had a failed sync and did not end", None);
            }
        }
        Ok(Struck::Done)
    }

    /// Waits until new disks have the votes of the lost ones; complains if that does not happen.
    async fn voted_in(&mut self, blow: &Blow) -> Result<(), Failure> {
        let deadline = Instant::now() + VOTES;
        while let Some(lacks) = self.lack_votes().await? {
            self.revive().await?;
            if Instant::now() > deadline {
                let what = format!("has a new disk, but after {VOTES:?} {lacks}");
                blow.nodes.iter().for_each(|number| self.complain(*number, &what, None));
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// About which partitions not just the disks decide that the nodes have now; none: there are no
    /// such.
    async fn lack_votes(&self) -> Result<Option<String>, Failure> {
        let nodes = self.statuses().await?;
        let disks: BTreeSet<&Member> = nodes.iter().map(|node| &node.member).collect();
        let led = nodes.iter().flat_map(|node| &node.replicas).filter(|replica| replica.serves);
        let agreed = led.filter(|one| one.voters.iter().collect::<BTreeSet<_>>() == disks);
        let agreed: BTreeSet<u16> = agreed.map(|replica| replica.partition).collect();
        let all = nodes.first().map_or(1, |node| node.cluster.partitions);
        let others: Vec<u16> = (0..all).filter(|number| !agreed.contains(number)).collect();
        if disks.len() == NODES && others.is_empty() {
            return Ok(None);
        }
        let seen: Vec<String> = nodes
            .iter()
            .flat_map(|node| node.replicas.iter().map(move |replica| (&node.member.node, replica)))
            .filter(|(_, replica)| others.first() == Some(&replica.partition))
            .map(|(node, replica)| format!("{node}: {replica:?}"))
            .collect();
        let heard = disks.len();
        Ok(Some(format!(
            "{heard} of {NODES} nodes answer, and others decide about partitions {others:?}; of the \
             first of these they say: {seen:?}"
        )))
    }

    /// What storage nodes say of themselves; those that do not answer are missing.
    async fn statuses(&self) -> Result<Vec<NodeStatus>, Failure> {
        let Link { client, subjects, .. } = self.link();
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await.map_err(io::Error::other)?;
        let asked = client.publish_with_reply(subjects.cluster_status(), inbox, "".into()).await;
        asked.map_err(io::Error::other)?;
        let parsed = answers.map(|answer| serde_json::from_slice(&answer.payload).ok());
        let all = parsed.take(NODES).collect::<Vec<_>>();
        let all = timeout(ANSWERS, all).await.unwrap_or_default();
        Ok(all.into_iter().flatten().collect())
    }

    /// A node that ends over a broken disk must do so by itself, with an error. Returns whether it
    /// ended: whoever has room left in a file does not notice that there is none elsewhere.
    async fn ends_badly(&mut self, number: usize, why: &str) -> io::Result<bool> {
        let ended = self.nodes[number].process.ends(NOTICE).await?;
        if ended.is_some_and(|status| status.success()) {
            self.complain(number, &format!("{why} and did not end with an error"), ended);
        }
        Ok(ended.is_some())
    }

    fn complain(&mut self, number: usize, what: &str, ended: Option<ExitStatus>) {
        let node = &self.nodes[number];
        let status = ended.map_or("it runs on".to_owned(), |status| status.to_string());
        let last = node.process.last_words();
        self.complaints.push(format!("`{}` {what} ({status}); its log: {last}", node.id));
    }
}

async fn can_strace() -> bool {
    let mut strace = tokio::process::Command::new("strace");
    strace.args(["-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null", "true"]);
    strace.output().await.is_ok_and(|output| output.status.success())
}
