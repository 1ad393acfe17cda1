//! Definitions of chains: set through a scheduler, which checks them; read from where they are
//! kept.

use crate::ask::ask;
use crate::client::Client;
use crate::{Error, ErrorKind};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use catena_protocol::chain::Definition;
use catena_protocol::subject::CHAINS;
use catena_protocol::{Name, limit};
use futures_util::TryStreamExt;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// The definitions of chains in a cluster.
///
/// ```no_run
/// # async fn example(client: catena_client::Client) -> Result<(), catena_client::Error> {
/// let revision = client.chains().set("shout", "trim,uppercase").await?;
/// for (name, text) in client.chains().list().await? {
///     println!("{name}: {text}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Chains<'a> {
    client: &'a Client,
}

#[derive(Deserialize)]
struct Set {
    revision: u64,
}

impl<'a> Chains<'a> {
    pub(crate) const fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Defines a chain: operators separated by commas, or the JSON of a definition. Returns
    /// its revision. Jobs under way keep the definition that they started with.
    ///
    /// # Errors
    /// `BadRequest` or `NotFound` with what is wrong with it (the old definition then stays).
    pub async fn set(&self, name: &str, definition: impl Into<String>) -> Result<u64, Error> {
        let text = definition.into();
        Definition::parse(&text)?;
        self.request(name, text.into()).await
    }

    /// Removes a definition. It is no error if there is none.
    ///
    /// # Errors
    /// If no scheduler answers.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.request(name, Bytes::new()).await.map(drop)
    }

    async fn request(&self, name: &str, body: Bytes) -> Result<u64, Error> {
        let name = Name::new(name)?;
        let link = self.client.link();
        let subject = link.subjects.chain_set(name.as_str());
        let deadline = Instant::now() + Duration::from_millis(limit::ANSWER_MS);
        let answer = ask(link, &subject, &HeaderMap::new(), &body, deadline).await?;
        Ok(serde_json::from_slice::<Set>(&answer.payload).map_or(0, |set| set.revision))
    }

    /// The definition of a chain as it was written; none: there is none.
    ///
    /// # Errors
    /// If JetStream does not answer.
    pub async fn get(&self, name: &str) -> Result<Option<String>, Error> {
        let name = Name::new(name)?;
        let Some(bucket) = self.bucket().await? else { return Ok(None) };
        let value = bucket.get(name.as_str()).await.map_err(unreadable)?;
        Ok(value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// All definitions as they were written, by name.
    ///
    /// # Errors
    /// If JetStream does not answer.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let Some(bucket) = self.bucket().await? else { return Ok(Vec::new()) };
        let names = bucket.keys().await.map_err(unreadable)?;
        let mut names: Vec<String> = names.try_collect().await.map_err(unreadable)?;
        names.sort();
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            if let Some(bytes) = bucket.get(name.as_str()).await.map_err(unreadable)? {
                all.push((name, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        Ok(all)
    }

    /// The bucket; none: no scheduler has made it yet.
    async fn bucket(&self) -> Result<Option<kv::Store>, Error> {
        let link = self.client.link();
        let context = jetstream::new(link.client.clone());
        match context.get_key_value(link.subjects.bucket(CHAINS)).await {
            Ok(bucket) => Ok(Some(bucket)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn is_absent(error: &jetstream::context::KeyValueError) -> bool {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    source.contains("stream not found")
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("the chain definitions cannot be read: {error}; nothing was changed; try again"),
    )
}
