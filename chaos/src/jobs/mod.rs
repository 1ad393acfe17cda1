//! Jobs through the whole platform while it is broken, and whether what they did can be.
//!
//! ```text
//! callers --run--> schedulers --> workers --> storage nodes
//!    |  told                                       | outcomes, records, balances, lists
//!    v                                             v
//! ledger ------------------> judge <---------- settle
//! ```
//!
//! Three workloads at once, each with its own way to see what must not be: a bank whose total is
//! constant, shops whose books must be equal, lists whose readers must have an order. Each job
//! writes a record about itself too, so that one by one they are there once or never.
//!
//! Deliberately unknown here: what is broken, and when.

mod aim;
mod bank;
mod client;
mod effort;
mod ledger;
mod lists;
mod once;
mod operators;
mod settle;
mod shop;
mod wish;
mod worker;

pub(crate) use effort::Sums;
pub(crate) use ledger::{Closed, Entry, Told};
pub(crate) use once::Fate;
pub(crate) use worker::as_worker;
pub use worker::{is_worker, work};

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::plan::Plan;
use catena_client::{Client, Error, Options, Store};
use client::Caller;
use effort::Effort;
use ledger::Ledger;
use settle::{facts, patiently};
use shop::Books;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

/// Callers, each with one job under way at a time.
const CALLERS: usize = 16;
/// How long it may take until chains and accounts are there.
const BEGIN: Duration = Duration::from_secs(60);
/// Most that is said to be wrong, one by one.
const MOST_WRONG: usize = 20;
/// More orders than a shop can sell.
const MOST_ORDERS: usize = 10_000;

/// Callers at work. Dropped, they end.
pub(crate) struct Load {
    callers: JoinSet<()>,
    stop: watch::Sender<bool>,
    ledger: Arc<Ledger>,
    effort: Effort,
}

/// What the store holds at the end.
struct Ends {
    accounts: Vec<Option<String>>,
    shops: BTreeMap<u64, Books>,
    lists: BTreeMap<String, Option<String>>,
}

/// What became of all jobs.
pub(crate) struct Judged {
    pub(crate) closed: Closed,
    pub(crate) fates: Vec<Fate>,
    pub(crate) wrong: Vec<String>,
}

impl Load {
    /// Defines the chains, fills the accounts and begins. `began` is when the clock was at 0.
    pub(crate) async fn start(
        plan: &Plan,
        cluster: &Cluster,
        began: Instant,
    ) -> Result<Self, Failure> {
        let clients = [connect(cluster).await?, connect(cluster).await?];
        prepare(&clients[0]).await?;
        let ledger = Arc::new(Ledger::new(plan.job_limit(), began));
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let every = plan.job_pace(CALLERS);
            let caller = Caller::new(number, plan.seed, &clients, &ledger, every);
            callers.spawn(caller.live(stopped.clone()));
        }
        Ok(Self { callers, stop, ledger, effort: Effort::watch(cluster.link().clone()) })
    }

    /// Lets every caller see its last job to its end. Returns everything that was told, and what
    /// it cost.
    pub(crate) async fn end(mut self) -> Result<(Closed, Sums), Failure> {
        self.stop.send_replace(true);
        while let Some(ended) = self.callers.join_next().await {
            ended.map_err(std::io::Error::other)?;
        }
        Ok((self.ledger.close(), self.effort.sums()))
    }
}

async fn connect(cluster: &Cluster) -> Result<Client, Failure> {
    let url = cluster.url().ok_or_else(|| Failure::Start("there is no NATS server".to_owned()))?;
    Ok(Client::connect(Options::new(url).connection_name("catena-chaos-jobs")).await?)
}

async fn prepare(client: &Client) -> Result<(), Error> {
    let deadline = time::Instant::now() + BEGIN;
    let chains = client.chains();
    for (name, steps) in operators::CHAINS {
        patiently(deadline, || chains.set(name, steps)).await?;
    }
    for number in 0..aim::ACCOUNTS {
        let balance = || aim::BALANCE.to_string();
        patiently(deadline, || client.store().write(aim::account(number), balance())).await?;
    }
    Ok(())
}

/// Asks the store about everything, and judges. `now_us` is on the clock of the ledger; nothing
/// that was sent before may be under way any more.
///
/// # Errors
/// What could not be read in time.
pub(crate) async fn judge(
    closed: Closed,
    store: &Store,
    now_us: u64,
    deadline: time::Instant,
) -> Result<Judged, Error> {
    let facts = facts(store, &closed.entries, now_us, deadline).await?;
    let ends = ends(store, &closed.entries, deadline).await?;
    let (fates, mut wrong) = once::fates(&closed.entries, &facts);
    wrong.extend(closed.contradictions.iter().cloned());
    wrong.extend(bank::judge(&closed.entries, &fates, &ends.accounts));
    wrong.extend(shop::judge(&closed.entries, &fates, &ends.shops));
    wrong.extend(lists::judge(&closed.entries, &fates, &ends.lists));
    Ok(Judged { closed, fates, wrong: some(wrong) })
}

/// The first, and how many more there are: one fault of a store shows in many jobs.
fn some(mut wrong: Vec<String>) -> Vec<String> {
    let more = wrong.len().saturating_sub(MOST_WRONG);
    wrong.truncate(MOST_WRONG);
    if more > 0 {
        wrong.push(format!("{more} more of these"));
    }
    wrong
}

async fn ends(store: &Store, entries: &[Entry], deadline: time::Instant) -> Result<Ends, Error> {
    let mut accounts = Vec::with_capacity(aim::ACCOUNTS);
    for number in 0..aim::ACCOUNTS {
        accounts.push(value(store, &aim::account(number), deadline).await?);
    }
    let mut shops = BTreeMap::new();
    for shop in shop::shops(entries) {
        shops.insert(shop, books(store, shop, deadline).await?);
    }
    let mut lists = BTreeMap::new();
    for round in lists::rounds(entries) {
        for number in 0..aim::LISTS {
            let key = aim::list(round, number);
            let found = value(store, &key, deadline).await?;
            lists.insert(key, found);
        }
    }
    Ok(Ends { accounts, shops, lists })
}

async fn books(store: &Store, shop: u64, deadline: time::Instant) -> Result<Books, Error> {
    let mut books = Books::default();
    for item in 0..aim::GOODS {
        books.left[item] = value(store, &aim::stock(shop, item), deadline).await?;
    }
    books.revenue = value(store, &aim::revenue(shop), deadline).await?;
    let prefix = aim::orders(shop);
    let records = patiently(deadline, || store.scan(&prefix, MOST_ORDERS)).await?;
    let number = |key: &str| key.strip_prefix(&prefix)?.parse().ok();
    let numbers = records.iter().map(|(key, _)| number(key.as_str()).unwrap_or(u64::MAX));
    books.orders = numbers.collect::<BTreeSet<u64>>();
    Ok(books)
}

async fn value(store: &Store, key: &str, deadline: time::Instant) -> Result<Option<String>, Error> {
    let entry = patiently(deadline, || store.read(key)).await?;
    Ok(entry.value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}
