//! What a person asks for, from subject, headers and body.

use super::scan::Gathered;
use super::{Parsed, What};
use async_nats::Message;
use catena_protocol::edge::body;
use catena_protocol::message::read::{At, Read, Scan};
use catena_protocol::message::store::Ask;
use catena_protocol::message::write::{Change, Condition, Mutation, Write};
use catena_protocol::subject::{StoreVerb, Subjects};
use catena_protocol::{Blob, Code, Fault, Key, RequestId, Timestamp, edge, key, limit};
use sha2::{Digest, Sha256};

pub(super) fn parse(
    subjects: &Subjects,
    partitions: u16,
    message: &Message,
) -> Result<Parsed, Fault> {
    let whole_scan = subjects.strip(&message.subject) == Some("storage.scan");
    let (verb, key) = match subjects.parse_store(&message.subject) {
        Some(parsed) => parsed,
        None if whole_scan => (StoreVerb::Scan, ""),
        None => return Err(unknown_verb(subjects)),
    };
    if verb == StoreVerb::Scan {
        return scan(partitions, key, message);
    }
    let key = Key::new(key).map_err(|error| Fault::new(key_code(error), error.to_string()))?;
    let version = version(message)?;
    if verb == StoreVerb::Read {
        let at = match (version, strict(message)?) {
            (Some(version), _) => At::Snapshot(version),
            (None, true) => At::Strict,
            (None, false) => At::Latest,
        };
        let what = What::Read { key: key.to_string() };
        let partition = key.partition(partitions);
        return Ok(Parsed { what, asks: vec![(partition, Ask::Read(Read { key, at }))] });
    }
    let (change, condition) = change(verb, version, message)?;
    let what = What::Write { key: key.to_string() };
    let partition = key.partition(partitions);
    let request = request_id(message, verb, &key);
    let write = Write { request, mutation: Mutation { key, change }, condition };
    Ok(Parsed { what, asks: vec![(partition, Ask::Write(write))] })
}

fn unknown_verb(subjects: &Subjects) -> Fault {
    Fault::bad_request(format_args!(
        "expected `{prefix}.storage.<verb>.<key>` with verb `read`, `write`, `update-if-value-is`, \
         `add`, `delete` or `scan`; nothing was done",
        prefix = subjects.prefix()
    ))
}

const fn key_code(error: key::KeyError) -> Code {
    match error {
        key::KeyError::TooLong { .. } => Code::TooLarge,
        _ => Code::BadRequest,
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str)
}

fn strict(message: &Message) -> Result<bool, Fault> {
    match header(message, edge::STRICT).map(str::trim) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Fault::bad_request(format_args!(
            "header `{}` is `true` or `false`; nothing was done",
            edge::STRICT
        ))),
    }
}

fn version(message: &Message) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = header(message, edge::VERSION) else { return Ok(None) };
    match text.trim().parse() {
        Ok(version) => Ok(Some(Timestamp(version))),
        Err(_) => Err(Fault::bad_request(format_args!(
            "`{}` in header `{}` is not a version; nothing was done",
            text.chars().take(64).collect::<String>(),
            edge::VERSION
        ))),
    }
}

/// The id of a write: a hash of what the caller calls it, so that sent again it happens once.
fn request_id(message: &Message, verb: StoreVerb, key: &Key) -> RequestId {
    let Some(name) = header(message, edge::IDEMPOTENCY_KEY) else {
        return RequestId(rand::random());
    };
    let mut hash = Sha256::new();
    for part in [verb.as_str(), key.as_str(), name] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    RequestId(id)
}

fn change(
    verb: StoreVerb,
    version: Option<Timestamp>,
    message: &Message,
) -> Result<(Change, Condition), Fault> {
    let condition = version.map_or(Condition::Always, Condition::VersionIs);
    match verb {
        StoreVerb::Write => {
            // A copy, so that the record does not keep the whole received buffer alive.
            Ok((Change::Put(Blob::from(message.payload.to_vec())), condition))
        }
        StoreVerb::Delete => Ok((Change::Delete, condition)),
        StoreVerb::Add => Ok((Change::Add(body::integer(&message.payload)?), condition)),
        StoreVerb::UpdateIfValueIs => body::update(version, &message.payload),
        StoreVerb::Read | StoreVerb::Scan => Err(Fault::bad_request("not a write")),
    }
}

fn scan(partitions: u16, prefix: &str, message: &Message) -> Result<Parsed, Fault> {
    if prefix.len() > limit::KEY_BYTES {
        let why = format!("the prefix has more than {} bytes", limit::KEY_BYTES);
        return Err(Fault::new(Code::TooLarge, why));
    }
    let (after, limit) = body::page(&message.payload)?;
    let at = version(message)?.map_or(At::Latest, At::Snapshot);
    let one = |partition| {
        let scan = Scan { prefix: prefix.to_owned(), at, after: after.clone(), limit };
        (partition, Ask::Scan(scan))
    };
    let tagged = key::tag(prefix).len() < prefix.len();
    let asks: Vec<(u16, Ask)> = if tagged {
        vec![one(catena_protocol::partition(prefix, partitions))]
    } else {
        (0..partitions).map(one).collect()
    };
    Ok(Parsed { what: What::Scan(Gathered::new(asks.len(), limit)), asks })
}
