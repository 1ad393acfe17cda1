//! One request of a service operator, done by the context of its step.

use super::answer::Answer;
use crate::operator::Context;
use async_nats::Message;
use catena_protocol::edge::body;
use catena_protocol::message::write::{Change, Condition};
use catena_protocol::subject::StoreVerb;
use catena_protocol::{Blob, Fault};

/// Does it.
pub(super) async fn perform(
    context: &Context,
    verb: StoreVerb,
    key: &str,
    message: &Message,
) -> Result<Answer, Fault> {
    match verb {
        StoreVerb::Read => read(context, key).await,
        StoreVerb::Write => {
            // A copy, so that the buffer does not keep the whole received message alive.
            context.write(key, message.payload.to_vec()).await?;
            Ok(Answer::done(context))
        }
        StoreVerb::UpdateIfValueIs => update(context, key, &message.payload).await,
        StoreVerb::Add => {
            context.add(key, body::integer(&message.payload)?).await?;
            Ok(Answer::done(context))
        }
        StoreVerb::Delete => {
            context.delete(key).await?;
            Ok(Answer::done(context))
        }
        StoreVerb::Scan => {
            let (after, limit) = body::page(&message.payload)?;
            let found = context.scan_after(key, after.as_ref(), limit).await?;
            Ok(Answer::records(&found, limit))
        }
    }
}

async fn read(context: &Context, key: &str) -> Result<Answer, Fault> {
    match context.read(key).await? {
        Some(value) => Ok(Answer::value(value)),
        None => Err(body::no_record(key)),
    }
}

async fn update(context: &Context, key: &str, bytes: &[u8]) -> Result<Answer, Fault> {
    let (change, condition) = body::update(None, bytes)?;
    let Condition::ValueIs(expected) = condition else {
        return Err(Fault::bad_request(
            "a job sees one version of everything: give the `expected` value instead of a \
             `version`; nothing was changed",
        ));
    };
    let expected = expected.as_ref().map(Blob::as_ref);
    let new = match &change {
        Change::Put(value) => Some(value.as_ref()),
        Change::Delete | Change::Add(_) => None,
    };
    if context.update_if_value_is(key, expected, new).await? {
        return Ok(Answer::done(context));
    }
    let current = context.read(key).await?.map(Blob);
    Ok(Answer::differs(key, current.as_ref()))
}
