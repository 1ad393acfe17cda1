//! An accident: one storage node is killed in the middle and comes back.
//!
//! Whoever shows something asks for it here; whoever owns the cluster carries it out.

use crate::cluster::Cluster;
use crate::failure::Failure;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Who has it.
pub(super) const VICTIM: &str = "storage-2";
/// How long it is away at least: longer than the others take to elect new primaries.
const AWAY: Duration = Duration::from_secs(2);

#[derive(Debug)]
enum Fate {
    Killed,
    StartedAgain,
}

/// Asks for accidents.
#[derive(Clone, Debug)]
pub(super) struct Accident(mpsc::Sender<(Fate, oneshot::Sender<()>)>);

/// Carries them out.
#[derive(Debug)]
pub(super) struct FaultInjector {
    asked: mpsc::Receiver<(Fate, oneshot::Sender<()>)>,
    data: PathBuf,
}

/// `data` is where the victim has its own.
pub(super) fn accident(data: PathBuf) -> (Accident, FaultInjector) {
    let (sender, asked) = mpsc::channel(1);
    (Accident(sender), FaultInjector { asked, data })
}

impl Accident {
    /// Lets it happen at a moment, for at least so long, and waits until it is over. Returns when
    /// the node was away, counted from now.
    pub(super) async fn happens(
        &self,
        moment: impl Future<Output = ()>,
        away: Duration,
    ) -> Result<[Duration; 2], Failure> {
        let began = Instant::now();
        moment.await;
        self.ask(Fate::Killed).await?;
        let killed = began.elapsed();
        tokio::time::sleep(away.max(AWAY)).await;
        self.ask(Fate::StartedAgain).await?;
        Ok([killed, began.elapsed()])
    }

    async fn ask(&self, fate: Fate) -> Result<(), Failure> {
        let (done, is_done) = oneshot::channel();
        let ended = || Failure::new("the cluster of the demo has ended");
        self.0.send((fate, done)).await.map_err(|_| ended())?;
        is_done.await.map_err(|_| ended())
    }
}

/// What is said of it.
pub(super) fn was_away([from, to]: [Duration; 2]) -> String {
    let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
    format!("{VICTIM} was gone from {from:.1} s to {to:.1} s")
}

impl FaultInjector {
    /// Waits for the next and carries it out; never returns without an error.
    pub(super) async fn work(&mut self, cluster: &mut Cluster) -> Failure {
        loop {
            let next = tokio::select! {
                next = self.asked.recv() => next,
                failure = cluster.failed() => return failure,
            };
            let Some((fate, done)) = next else { return std::future::pending().await };
            let carried_out = match fate {
                Fate::Killed => cluster.kill_service(VICTIM).await,
                Fate::StartedAgain => self.start(cluster).await,
            };
            match carried_out {
                Ok(()) => drop(done.send(())),
                Err(failure) => return failure,
            }
        }
    }

    async fn start(&self, cluster: &mut Cluster) -> Result<(), Failure> {
        cluster.add_storage(VICTIM, self.data.clone())?;
        cluster.ready().await
    }
}
