//! A run from the start of the cluster to the judgement.

use crate::book::{Book, Seen};
use crate::client::Client;
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::fault::Fault;
use crate::jobs::{self, Judged};
use crate::judge::judge;
use crate::outcome::text;
use crate::plan::Plan;
use crate::report::{Event, Report};
use crate::schedule::{Blow, Schedule, roles};
use crate::strike::Struck;
use catena_client::{Client as Connection, Options, Store};
use catena_history::{FinalRead, History, write_lines};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

/// Connections that the clients share.
const CONNECTIONS: usize = 3;
/// How long it may take until every key can be read after all is healed.
const READABLE: Duration = Duration::from_secs(60);

/// Runs `plan`. When `stop` says so, what is broken is healed and what there is is judged. `tell`
/// gets a line about each step.
///
/// # Errors
/// [`Failure`]: the run could not be done, and nothing is judged. What was found wrong with the
/// cluster is no error but in the report.
pub async fn run(
    plan: &Plan,
    stop: watch::Receiver<bool>,
    tell: impl Fn(&str),
) -> Result<Report, Failure> {
    let folder = tempfile::Builder::new().prefix("catena-chaos-").tempdir()?;
    tell(&format!("seed {}; everything is in {}", plan.seed, folder.path().display()));
    let roles = roles(plan.workload.has_jobs());
    let mut cluster = Cluster::start(&plan.programs(), &roles, folder.path()).await?;
    let book = Arc::new(Book::new(plan.limit()));
    let mut loads = Loads::start(plan, &cluster, &book).await?;
    let events = attack(plan, &mut cluster, &book, stop, &tell).await?;
    let end_us = book.now_us();
    let (history, seen) = loads.end_store(&book).await?;
    let told = loads.end_jobs().await?;
    tell("the load has ended; everything is killed once more, then every key is read");
    crash_all(&mut cluster).await?;
    let jobs = match told {
        None => None,
        Some((closed, sums)) => {
            tell(&format!("{} jobs are judged", closed.entries.len()));
            judged_jobs(&mut cluster, closed, book.now_us()).await?.map(|judged| (judged, sums))
        }
    };
    let reads = last_reads(&mut cluster, &history).await?;
    tell(&format!("{} operations are judged", history.operations().len()));
    let mut report = Report::new(plan, seen.clone(), jobs.as_ref(), &events, end_us);
    let (history, wrong) = judged(history, seen, reads).await?;
    cluster.revive().await?;
    report.found(std::mem::take(&mut cluster.complaints));
    report.found(wrong);
    drop(cluster);
    if plan.keep || !report.is_good() {
        keep(&history, jobs.map(|(judged, _)| judged).as_ref(), folder.path())?;
        report.kept(folder.keep());
    }
    Ok(report)
}

/// Everything that uses the cluster while it is broken. Dropped, it ends.
struct Loads {
    store: Option<Load>,
    jobs: Option<jobs::Load>,
}

impl Loads {
    async fn start(plan: &Plan, cluster: &Cluster, book: &Arc<Book>) -> Result<Self, Failure> {
        let jobs = match plan.workload.has_jobs() {
            true => Some(jobs::Load::start(plan, cluster, book.began()).await?),
            false => None,
        };
        let store = match plan.workload.has_store() {
            true => Some(Load::start(plan, cluster, book).await?),
            false => None,
        };
        Ok(Self { store, jobs })
    }

    async fn end_store(&mut self, book: &Book) -> Result<(History, Seen), Failure> {
        if let Some(store) = self.store.take() {
            store.end().await?;
        }
        Ok(book.close())
    }

    async fn end_jobs(&mut self) -> Result<Option<(jobs::Closed, jobs::Sums)>, Failure> {
        match self.jobs.take() {
            Some(jobs) => Ok(Some(jobs.end().await?)),
            None => Ok(None),
        }
    }
}

/// Clients of the store at work. Dropped, they end.
struct Load {
    clients: JoinSet<Result<(), Failure>>,
    stop: watch::Sender<bool>,
}

impl Load {
    async fn start(plan: &Plan, cluster: &Cluster, book: &Arc<Book>) -> Result<Self, Failure> {
        let mut stores = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            stores.push(connect(cluster).await?.store().clone());
        }
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for number in 0..plan.clients {
            let store = &stores[number % CONNECTIONS];
            let client = Client::new(number, plan.keys, plan.seed, store, book, plan.pace());
            clients.spawn(client.live(stopped.clone()));
        }
        Ok(Self { clients, stop })
    }

    /// Lets every client see its last operation to its end.
    async fn end(mut self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.map_err(std::io::Error::other)??;
        }
        Ok(())
    }
}

async fn connect(cluster: &Cluster) -> Result<Connection, Failure> {
    let url = cluster.url().ok_or_else(|| Failure::Start("there is no NATS server".to_owned()))?;
    let options = Options::new(url).connection_name("catena-chaos").wait_for_server();
    Ok(Connection::connect(options).await?)
}

/// Breaks one thing after the other, each healed before the next.
async fn attack(
    plan: &Plan,
    cluster: &mut Cluster,
    book: &Book,
    mut stop: watch::Receiver<bool>,
    tell: &impl Fn(&str),
) -> Result<Vec<Event>, Failure> {
    let end = Instant::now() + plan.lasts;
    let roles = cluster.nodes.iter().map(|node| node.role).collect();
    let mut schedule = Schedule::new(plan.seed, &plan.faults, roles);
    let mut events = Vec::new();
    loop {
        let blow = schedule.next();
        let after = blow.as_ref().map_or(plan.lasts, |blow| blow.after);
        let stopped = waits((Instant::now() + after).min(end), &mut stop).await;
        let Some(blow) = blow.filter(|_| !stopped && Instant::now() < end) else {
            return Ok(events);
        };
        events.push(one_blow(cluster, &blow, book, &mut stop, tell).await?);
    }
}

async fn one_blow(
    cluster: &mut Cluster,
    blow: &Blow,
    book: &Book,
    stop: &mut watch::Receiver<bool>,
    tell: &impl Fn(&str),
) -> Result<Event, Failure> {
    let Blow { fault, nodes, lasts, .. } = blow;
    let complaints = cluster.complaints.len();
    // Who ended by itself must not be taken for one that this blow ended.
    cluster.revive().await?;
    let at_us = book.now_us();
    let ids: Vec<&str> = nodes.iter().map(|node| cluster.nodes[*node].id.as_str()).collect();
    let at = Duration::from_micros(at_us).as_secs_f64();
    tell(&format!("{at:>7.2} s  {fault} {} for {lasts:?}", ids.join(" and ")));
    let skipped = match cluster.strike(blow).await? {
        Struck::Done => {
            waits(Instant::now() + *lasts, stop).await;
            cluster.heal(blow).await?;
            cluster.ready().await?;
            None
        }
        Struck::Skipped(why) => {
            tell(&format!("           {fault} was skipped: {why}"));
            Some(why)
        }
    };
    cluster.complaints[complaints..].iter().for_each(|complaint| tell(complaint));
    let all = cluster.nodes.iter().filter(|node| Some(node.role) == fault.role()).count();
    Ok(Event { fault: *fault, most: nodes.len() * 2 > all, at_us, skipped })
}

/// Waits until then. Returns whether it was stopped before.
async fn waits(until: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    timeout_at(until, stop.wait_for(|stop| *stop)).await.is_ok_and(|stopped| stopped.is_ok())
}

/// What is acknowledged must also survive this, and nothing is under way behind it.
async fn crash_all(cluster: &mut Cluster) -> Result<(), Failure> {
    let blow = Blow {
        fault: Fault::KillAll,
        nodes: (0..cluster.nodes.len()).collect(),
        lasts: Duration::ZERO,
        after: Duration::ZERO,
        delay: Duration::ZERO,
        closes: false,
        sync: 0,
    };
    cluster.ready().await?;
    cluster.strike(&blow).await?;
    cluster.heal(&blow).await?;
    cluster.ready().await
}

/// Reads every key of the history, with patience.
async fn last_reads(cluster: &mut Cluster, history: &History) -> Result<Vec<FinalRead>, Failure> {
    let store = connect(cluster).await?.store().clone();
    let keys: BTreeSet<&str> = history.operations().iter().map(|one| one.key.as_str()).collect();
    let deadline = Instant::now() + READABLE;
    let mut reads = Vec::with_capacity(keys.len());
    for key in keys {
        match last_read(&store, key, deadline).await {
            Ok(read) => reads.push(read),
            Err(error) => {
                let what = format!("`{key}` cannot be read {READABLE:?} after all is healed");
                cluster.complaints.push(format!("{what}: {error}"));
            }
        }
    }
    Ok(reads)
}

async fn last_read(
    store: &Store,
    key: &str,
    deadline: Instant,
) -> Result<FinalRead, catena_client::Error> {
    loop {
        match store.read(key).await {
            Ok(entry) => {
                let (key, version) = (key.to_owned(), entry.version.0);
                return Ok(FinalRead { key, version, value: text(entry) });
            }
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// None: not everything could be read, which is a complaint.
async fn judged_jobs(
    cluster: &mut Cluster,
    closed: jobs::Closed,
    now_us: u64,
) -> Result<Option<Judged>, Failure> {
    let store = connect(cluster).await?.store().clone();
    // Each outcome and record takes a fraction of a millisecond.
    let patience = READABLE + Duration::from_millis(5 * closed.entries.len() as u64);
    match jobs::judge(closed, &store, now_us, Instant::now() + patience).await {
        Ok(judged) => Ok(Some(judged)),
        Err(error) => {
            let what = format!("what jobs did cannot be read {patience:?} after all is healed");
            cluster.complaints.push(format!("{what}: {error}"));
            Ok(None)
        }
    }
}

/// The judgement takes a processor for a while.
async fn judged(
    history: History,
    seen: Seen,
    reads: Vec<FinalRead>,
) -> Result<(History, Vec<String>), Failure> {
    let judged = tokio::task::spawn_blocking(move || {
        let wrong = judge(&history, &seen, &reads);
        (history, wrong)
    });
    Ok(judged.await.map_err(std::io::Error::other)?)
}

fn keep(history: &History, jobs: Option<&Judged>, folder: &Path) -> Result<(), Failure> {
    let file = File::create(folder.join("history.jsonl"))?;
    write_lines(history, BufWriter::new(file))?;
    let mut file = BufWriter::new(File::create(folder.join("jobs.txt"))?);
    for (entry, fate) in jobs.iter().flat_map(|jobs| jobs.closed.entries.iter().zip(&jobs.fates)) {
        writeln!(file, "{entry:?} {fate:?}")?;
    }
    Ok(file.flush()?)
}
