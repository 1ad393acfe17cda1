//! Single requests at the edge, tried again where that is safe.

use crate::{Error, ErrorKind};
use async_nats::{HeaderMap, Message, Request, RequestErrorKind};
use bytes::Bytes;
use catena_link::{Link, fault_of};
use std::time::Duration;
use tokio::time::Instant;

/// One try waits at most this long for an answer.
const TRY: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Sends a request that may safely be sent again, until it is answered or `deadline` comes.
///
/// # Errors
/// What was answered, or that nobody did.
pub(crate) async fn ask(
    link: &Link,
    subject: &str,
    headers: &HeaderMap,
    body: &Bytes,
    deadline: Instant,
) -> Result<Message, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let request = Request::new()
            .headers(headers.clone())
            .payload(body.clone())
            .timeout(Some(left.min(TRY)));
        let error = match link.client.send_request(subject.to_owned(), request).await {
            Ok(message) => {
                return match fault_of(message.headers.as_ref()) {
                    Some(fault) => Err(fault.into()),
                    None => Ok(message),
                };
            }
            Err(error) => error,
        };
        let absent = error.kind() == RequestErrorKind::NoResponders;
        if !absent && error.kind() != RequestErrorKind::TimedOut {
            return Err(Error::bad_request(error));
        }
        if Instant::now() + pause >= deadline {
            return Err(nobody(subject, absent));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn nobody(subject: &str, absent: bool) -> Error {
    if absent {
        return Error::new(
            ErrorKind::Unavailable,
            format!(
                "no scheduler answers on `{subject}`; nothing was changed; start one with \
                 `catena scheduler`, or try again"
            ),
        );
    }
    Error::new(
        ErrorKind::Deadline,
        format!("no answer on `{subject}` in time; it may have been heard; ask again"),
    )
}
