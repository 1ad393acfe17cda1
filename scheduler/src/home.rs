//! Questions to the homes of jobs.

use crate::news::News;
use catena_client::Store;
use catena_protocol::JobId;
use catena_protocol::message::store::{Ask, Tell};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long one question is tried before it is answered with what went wrong.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the store on behalf of the rules; each question at most once at a time.
#[derive(Debug)]
pub(crate) struct Home {
    store: Store,
    news: mpsc::Sender<News>,
    open: BTreeSet<(JobId, bool)>,
}

impl Home {
    pub(crate) fn new(store: &Store, news: mpsc::Sender<News>) -> Self {
        Self { store: store.with_timeout(TIMEOUT), news, open: BTreeSet::new() }
    }

    /// Asks; the answer comes as [`News::Told`].
    pub(crate) fn ask(&mut self, job: JobId, ask: Ask) {
        let commits = matches!(ask, Ask::Commit(_));
        if !self.open.insert((job, commits)) {
            return;
        }
        let (store, news) = (self.store.clone(), self.news.clone());
        tokio::spawn(async move {
            let tell = store.ask_home(job, ask).await.unwrap_or_else(Tell::Fault);
            let _ = news.send(News::Told { job, commits, tell }).await;
        });
    }

    /// The answer has come.
    pub(crate) fn answered(&mut self, job: JobId, commits: bool) {
        self.open.remove(&(job, commits));
    }
}
