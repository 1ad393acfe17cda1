//! Catena's store under measurement, through its client library as any user has it.

use super::operation::Stored;
use crate::failure::Failure;
use bytes::Bytes;
use catena_client::{Store, Updated};

/// A Catena cluster.
#[derive(Clone)]
pub(crate) struct Catena(pub(crate) Store);

fn name(key: usize) -> String {
    format!("bench:{key}")
}

impl Stored for Catena {
    async fn read(&self, key: usize) -> Result<(), Failure> {
        match self.0.read(name(key)).await?.value {
            Some(_) => Ok(()),
            None => Err(Failure::new("a value is gone that was acknowledged")),
        }
    }

    async fn write(&self, key: usize, value: Bytes) -> Result<(), Failure> {
        self.0.write(name(key), value).await?;
        Ok(())
    }

    async fn update(&self, key: usize, old: Bytes, new: Bytes) -> Result<(), Failure> {
        match self.0.update_if_value_is(name(key), Some(old), Some(new)).await? {
            Updated::Done(_) => Ok(()),
            Updated::Differs(_) => Err(Failure::new("a value was changed that nobody else writes")),
        }
    }
}
