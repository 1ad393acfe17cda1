//! What people ask of a node that does not lead: it asks whoever does.

use crate::error::Error;
use crate::report::Report;
use catena_client::Store;
use catena_link::Link;
use catena_protocol::message::store::{Ask, Request, Tell};
use std::collections::HashMap;
use tokio::sync::mpsc::UnboundedSender;

/// Requests of people, as long as it is open who answers them.
pub(crate) struct Forward {
    store: Store,
    reports: UnboundedSender<Report>,
    /// What was asked of this node, in case it turns out that another leads.
    open: HashMap<(u64, u16), Ask>,
}

impl Forward {
    pub(crate) async fn start(
        link: &Link,
        reports: UnboundedSender<Report>,
    ) -> Result<Self, Error> {
        let store = Store::open(link).await.map_err(Error::closed)?;
        Ok(Self { store, reports, open: HashMap::new() })
    }

    /// This node answers, unless it turns out otherwise.
    pub(crate) fn keep(&mut self, number: u64, request: &Request) {
        self.open.insert((number, request.partition), request.ask.clone());
    }

    /// An answer of this node. None: another one is asked.
    pub(crate) fn told(&mut self, number: u64, partition: u16, tell: Tell) -> Option<Tell> {
        let ask = self.open.remove(&(number, partition));
        match (tell, ask) {
            (Tell::NotPrimary { .. } | Tell::Deposed { .. } | Tell::Behind { .. }, Some(ask)) => {
                self.send(number, partition, ask);
                None
            }
            (tell, _) => Some(tell),
        }
    }

    /// Another node answers.
    pub(crate) fn send(&self, number: u64, partition: u16, ask: Ask) {
        let (store, reports) = (self.store.clone(), self.reports.clone());
        tokio::spawn(async move {
            let tell = store.ask(partition, ask).await.unwrap_or_else(Tell::Fault);
            let _ = reports.send(Report::Told { number, tell });
        });
    }
}
