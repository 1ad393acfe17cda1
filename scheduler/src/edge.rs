//! Requests to run or submit a job, as they come from outside: text with headers, or CBOR.
//!
//! Unknown here: whether the chain exists and whether there is room.

use async_nats::{HeaderMap, Message};
use catena_protocol::message::assign::Reply;
use catena_protocol::message::submit::Submit;
use catena_protocol::subject::{INLINE, Subjects};
use catena_protocol::{Code, Fault, JobId, Name, Timestamp, codec, edge, limit};

use crate::machine::{Called, Identity, Source, Submission};

/// Longest routing or idempotency key in bytes.
const KEY_BYTES: usize = limit::KEY_BYTES;

/// What is done with the jobs of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Run them; somebody waits.
    Run,
    /// Put them on the durable queue.
    Submit,
}

/// Takes the jobs out of a request.
///
/// # Errors
/// 400 or 413 with what is wrong; then none of its jobs is taken.
pub(crate) fn submissions(
    verb: Verb,
    subjects: &Subjects,
    message: &Message,
    out: &mut Vec<Submission>,
) -> Result<(), Fault> {
    let (_, chain) = subjects
        .parse_middle(&message.subject)
        .ok_or_else(|| Fault::bad_request("the subject names no chain"))?;
    if is_cbor(message.headers.as_ref()) {
        batch(verb, chain, message, out)
    } else {
        out.push(text(verb, chain, message)?);
        Ok(())
    }
}

/// Whether a request speaks the language of the library, and so must be answered.
pub(crate) fn is_cbor(headers: Option<&HeaderMap>) -> bool {
    header(headers, edge::CONTENT_TYPE) == Some(edge::CBOR)
}

fn batch(
    verb: Verb,
    chain: &str,
    message: &Message,
    out: &mut Vec<Submission>,
) -> Result<(), Fault> {
    let reply = message.reply.as_ref().map(ToString::to_string);
    let name = name(chain)?;
    let items: Vec<Submit> = codec::decode_batch(&message.payload)
        .map_err(|error| Fault::bad_request(format!("{error}; nothing was started")))?;
    if items.is_empty() {
        return Err(Fault::bad_request("a batch of no jobs; nothing was started"));
    }
    let called = |inline: Option<String>| match inline {
        None if chain == INLINE => Err(Fault::bad_request("an inline chain without steps")),
        None => Ok(Called::Named(name.clone())),
        Some(text) => Ok(Called::Inline(text)),
    };
    let before = out.len();
    for item in items {
        let source = match (verb, &reply) {
            (Verb::Run, Some(reply)) => Source::Run(Reply::Batch(reply.clone())),
            (Verb::Run, None) => return Ok(()),
            (Verb::Submit, reply) => Source::Enqueue(reply.clone().map(Reply::Text)),
        };
        let called = called(item.inline).inspect_err(|_| out.truncate(before))?;
        out.push(Submission {
            identity: match item.may_move && !item.keyed {
                true => Identity::Proposed { job: item.job },
                false => Identity::Given { job: item.job, keyed: item.keyed },
            },
            called,
            input: item.input.0,
            deadline_ms: item.timeout_ms,
            wait_ms: 0,
            after: item.after,
            trace: item.trace.filter(|trace| is_plain(trace)),
            explain: item.explain,
            source,
        });
    }
    Ok(())
}

fn text(verb: Verb, chain: &str, message: &Message) -> Result<Submission, Fault> {
    let reply = message.reply.as_ref().map(ToString::to_string).map(Reply::Text);
    let source = match (verb, reply) {
        (Verb::Run, Some(reply)) => Source::Run(reply),
        (Verb::Run, None) => return Err(Fault::bad_request("nobody waits for the result")),
        (Verb::Submit, reply) => Source::Enqueue(reply),
    };
    let mut submission = described(chain, message, source)?;
    let time = std::mem::take(&mut submission.deadline_ms);
    match verb {
        Verb::Run => submission.wait_ms = if time == 0 { limit::ANSWER_MS } else { time },
        Verb::Submit => submission.deadline_ms = time,
    }
    Ok(submission)
}

/// A job as headers and body describe it; `Catena-Timeout` is taken for its deadline.
pub(crate) fn described(
    chain: &str,
    message: &Message,
    source: Source,
) -> Result<Submission, Fault> {
    let headers = message.headers.as_ref();
    let routing = key(headers, edge::ROUTING_KEY)?;
    let named = (key(headers, edge::IDEMPOTENCY_KEY)?, key(headers, edge::REQUEST)?);
    let identity = match (header(headers, edge::JOB), named) {
        (Some(job), (keyed, _)) => {
            let job: JobId = job.parse().map_err(Fault::bad_request)?;
            Identity::Given { job, keyed: keyed.is_some() }
        }
        (None, (Some(idempotency), _)) => Identity::Key { idempotency, routing },
        (None, (None, Some(request))) => Identity::Request { request, routing },
        (None, (None, None)) => Identity::Random { routing },
    };
    let deadline_ms = match header(headers, edge::TIMEOUT) {
        Some(text) => {
            let ms =
                edge::parse_duration_ms(text).map_err(|error| in_header(edge::TIMEOUT, error))?;
            ms.clamp(1, limit::DEADLINE_MAX_MS)
        }
        None => 0,
    };
    let after = match header(headers, edge::AFTER) {
        Some(text) => Timestamp(text.trim().parse().map_err(|_| {
            in_header(edge::AFTER, format!("`{text}` is not a version; expected an integer"))
        })?),
        None => Timestamp::ZERO,
    };
    Ok(Submission {
        identity,
        called: called(chain, headers)?,
        input: message.payload.clone(),
        deadline_ms,
        wait_ms: 0,
        after,
        trace: header(headers, edge::TRACE).filter(|t| is_plain(t)).map(ToOwned::to_owned),
        explain: false,
        source,
    })
}

fn called(chain: &str, headers: Option<&HeaderMap>) -> Result<Called, Fault> {
    if chain != INLINE {
        return Ok(Called::Named(name(chain)?));
    }
    let Some(steps) = header(headers, edge::CHAIN) else {
        return Err(Fault::bad_request(format!(
            "an inline chain needs a header such as `{}: trim,uppercase`",
            edge::CHAIN
        )));
    };
    Ok(Called::Inline(steps.to_owned()))
}

fn name(chain: &str) -> Result<Name, Fault> {
    Name::new(chain).map_err(Fault::bad_request)
}

fn key(headers: Option<&HeaderMap>, name: &'static str) -> Result<Option<String>, Fault> {
    match header(headers, name) {
        None | Some("") => Ok(None),
        Some(text) if text.len() > KEY_BYTES => {
            let message = format!("has {} bytes; at most {KEY_BYTES} are allowed", text.len());
            Err(Fault::new(Code::TooLarge, format!("header `{name}` {message}")))
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// A trace context that every later header can carry; anything else is left out.
fn is_plain(trace: &str) -> bool {
    trace.len() <= 256 && !trace.contains(char::is_control)
}

fn in_header(name: &str, error: String) -> Fault {
    Fault::bad_request(format!("header `{name}`: {error}; nothing was started"))
}

/// The text of a header.
pub(crate) fn header<'a>(headers: Option<&'a HeaderMap>, name: &'static str) -> Option<&'a str> {
    headers?.get(name).map(|value| value.as_str())
}
