//! How operators reach the store: by the client library.

use crate::operator::Asking;
use catena_client::Store as Client;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Fault, key};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// The store behind a worker's operators.
#[derive(Clone)]
pub(crate) struct JobStore(pub(crate) Client);

impl Asking for JobStore {
    fn ask(&self, tag: String, ask: Ask) -> BoxFuture<'static, Result<Tell, Fault>> {
        let client = self.0.clone();
        async move {
            let partitions = client.partitions().await.map_err(Fault::from)?;
            client.ask(key::partition(&tag, partitions), ask).await
        }
        .boxed()
    }
}
