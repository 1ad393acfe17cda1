//! What a job has read and wants to write, as it grows while a step runs.
//!
//! Promise: at most one [`Mutation`] for each key, which stands for all that the job did to it,
//! in order; no key twice in the read set; the limits of `limit` hold; a call that is refused
//! changes nothing. Unknown here: the store, and whether anything is ever committed.

use super::key_index::KeyIndex;
use catena_protocol::limit::{SET_KEYS, VALUE_BYTES, WRITE_SET_BYTES};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Blob, Code, Fault, Key};

/// The effects of a job so far.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    effects: Effects,
    write_bytes: usize,
    written: KeyIndex,
    read: KeyIndex,
}

/// What the job itself says about a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Nothing: the store knows.
    Nothing,
    /// This is its value, or that it has none; the store need not be asked.
    Value(Option<Blob>),
    /// This is to be added to what the store says.
    Plus(i64),
}

impl Own {
    /// What the job sees where the store has `stored`.
    pub(super) fn over(self, key: &Key, stored: Option<Blob>) -> Result<Option<Blob>, Fault> {
        match self {
            Self::Nothing => Ok(stored),
            Self::Value(value) => Ok(value),
            Self::Plus(delta) => sum(key, stored.as_ref(), delta).map(Some),
        }
    }
}

impl WriteBuffer {
    /// Goes on where earlier steps ended.
    pub(super) fn new(effects: Effects) -> Self {
        let write_bytes = effects.write_bytes();
        Self { effects, write_bytes, ..Self::default() }
    }

    pub(super) fn into_effects(self) -> Effects {
        self.effects
    }

    /// What the job itself says about `key`.
    pub(super) fn own(&mut self, key: &Key) -> Own {
        match self.find(key).map(|place| &self.effects.writes[place].change) {
            None => Own::Nothing,
            Some(Change::Put(value)) => Own::Value(Some(value.clone())),
            Some(Change::Delete) => Own::Value(None),
            Some(Change::Add(delta)) => Own::Plus(*delta),
        }
    }

    /// The keys with `prefix` that the job wrote itself, in no particular order.
    pub(super) fn written(&self, prefix: &str) -> impl Iterator<Item = &Key> {
        let keys = self.effects.writes.iter().map(|mutation| &mutation.key);
        keys.filter(move |key| key.as_str().starts_with(prefix))
    }

    /// Notes that the store was asked for `key`.
    pub(super) fn note_read(&mut self, key: &Key) -> Result<(), Fault> {
        if self.read.find(&self.effects.reads, |key| key, key).is_some() {
            return Ok(());
        }
        self.room_to_read()?;
        self.effects.reads.push(key.clone());
        Ok(())
    }

    /// Notes that the store was asked for all keys with `prefix`.
    pub(super) fn note_scan(&mut self, prefix: &Key) -> Result<(), Fault> {
        if self.effects.scans.contains(prefix) {
            return Ok(());
        }
        self.room_to_read()?;
        self.effects.scans.push(prefix.clone());
        Ok(())
    }

    fn room_to_read(&self) -> Result<(), Fault> {
        if self.effects.reads.len() + self.effects.scans.len() < SET_KEYS {
            return Ok(());
        }
        Err(too_large(format!("a job reads at most {SET_KEYS} keys and prefixes")))
    }

    /// Does `change` to `key`, on top of what was done to it before.
    pub(super) fn change(&mut self, key: &Key, change: Change) -> Result<(), Fault> {
        if let Change::Put(value) = &change {
            check_value(key, value)?;
        }
        match self.find(key) {
            None => self.append(Mutation { key: key.clone(), change }),
            Some(place) => self.replace(place, change),
        }
    }

    fn append(&mut self, mutation: Mutation) -> Result<(), Fault> {
        if self.effects.writes.len() >= SET_KEYS {
            return Err(too_large(format!("a job writes at most {SET_KEYS} keys")));
        }
        self.write_bytes = room_to_write(self.write_bytes + mutation.bytes())?;
        self.effects.writes.push(mutation);
        Ok(())
    }

    fn replace(&mut self, place: usize, change: Change) -> Result<(), Fault> {
        let mutation = &mut self.effects.writes[place];
        let before = mutation.bytes();
        let merged = merge(&mutation.key, &mutation.change, change)?;
        let after = mutation.key.as_str().len() + change_bytes(&merged);
        self.write_bytes = room_to_write(self.write_bytes - before + after)?;
        mutation.change = merged;
        Ok(())
    }

    fn find(&mut self, key: &Key) -> Option<usize> {
        self.written.find(&self.effects.writes, |mutation| &mutation.key, key)
    }
}

/// One change that does what `first` and then `second` do.
fn merge(key: &Key, first: &Change, second: Change) -> Result<Change, Fault> {
    match (first, second) {
        (_, change @ (Change::Put(_) | Change::Delete)) => Ok(change),
        (Change::Put(value), Change::Add(delta)) => sum(key, Some(value), delta).map(Change::Put),
        (Change::Delete, Change::Add(delta)) => sum(key, None, delta).map(Change::Put),
        (Change::Add(sum), Change::Add(delta)) => {
            sum.checked_add(delta).map(Change::Add).ok_or_else(|| overflow(key))
        }
    }
}

/// `stored` plus `delta`, where both are decimal integers and absent counts as 0.
pub(super) fn sum(key: &Key, stored: Option<&Blob>, delta: i64) -> Result<Blob, Fault> {
    let base = stored.map_or(Ok(0), |value| integer(key, value))?;
    let sum = base.checked_add(delta).ok_or_else(|| overflow(key))?;
    Ok(Blob::from(sum.to_string()))
}

fn integer(key: &Key, value: &Blob) -> Result<i64, Fault> {
    let number = std::str::from_utf8(value.as_ref()).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let message = format!(
            "cannot add to `{key}`: it holds {value:?}, not a decimal integer; nothing was changed"
        );
        Fault::new(Code::OperatorFailed, message)
    })
}

fn overflow(key: &Key) -> Fault {
    let message = format!("the sum in `{key}` does not fit into 64 bits; nothing was changed");
    Fault::new(Code::OperatorFailed, message)
}

fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Put(value) => value.len(),
        Change::Delete => 0,
        Change::Add(_) => 8,
    }
}

/// Refuses values that are too long for one record.
pub(super) fn check_value(key: &Key, value: &Blob) -> Result<(), Fault> {
    if value.len() <= VALUE_BYTES {
        return Ok(());
    }
    let bytes = value.len();
    Err(too_large(format!(
        "the value of `{key}` has {bytes} bytes; at most {VALUE_BYTES} are allowed"
    )))
}

fn room_to_write(bytes: usize) -> Result<usize, Fault> {
    if bytes <= WRITE_SET_BYTES {
        return Ok(bytes);
    }
    Err(too_large(format!(
        "a job writes at most {WRITE_SET_BYTES} bytes, keys and values together"
    )))
}

fn too_large(message: String) -> Fault {
    Fault::new(Code::TooLarge, message + "; nothing was changed")
}
