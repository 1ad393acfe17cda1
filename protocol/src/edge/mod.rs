//! Headers of requests and answers at the edge, where people come with the `nats` CLI.

pub mod body;

/// On errors: a sentence for a person (NATS service convention, ADR-32).
pub const ERROR: &str = "Nats-Service-Error";
/// On errors: the number of the [`crate::Code`].
pub const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// Idempotency key of a job.
pub const IDEMPOTENCY_KEY: &str = "Nats-Msg-Id";
/// Name of one submission, by chance, under which it may be sent again. Unlike an idempotency key
/// nobody else has it, so that the chain's `key` may choose the home.
pub const REQUEST: &str = "Catena-Request";
/// Media type of the body. Absent: text or JSON.
pub const CONTENT_TYPE: &str = "Content-Type";
/// The media type that marks a body as messages of this crate.
pub const CBOR: &str = "application/cbor";
/// Steps of an inline chain: operators separated by commas, or the JSON of a definition.
pub const CHAIN: &str = "Catena-Chain";
/// Routing key: chooses the home partition.
pub const ROUTING_KEY: &str = "Catena-Key";
/// How long the caller waits, as in `4500ms` or `10s`; plain numbers are seconds.
pub const TIMEOUT: &str = "Catena-Timeout";
/// Causality token: the snapshot is at least this version.
pub const AFTER: &str = "Catena-After";
/// Version to read at, version to compare with, and in answers the version found or written.
pub const VERSION: &str = "Catena-Version";
/// In answers to a scan that are not complete: go on behind this key.
pub const NEXT: &str = "Catena-Next";
/// `true` on a read: do not rely on clocks that run at the same rate, ask a majority.
pub const STRICT: &str = "Catena-Strict";
/// In answers: the job.
pub const JOB: &str = "Catena-Job";
/// In answers: the worker that finished it.
pub const WORKER: &str = "Catena-Worker";
/// W3C trace context, passed through every hop unchanged.
pub const TRACE: &str = "traceparent";

/// A duration as users write it: a plain number
/// is seconds, anything else is read by `humantime` (`10s`, `1m 30s`, `500ms`).
///
/// # Errors
/// A sentence that names the text and shows a good one.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.is_finite() && (0.0..=1e9).contains(&seconds) {
            Ok((seconds * 1000.0) as u64)
        } else {
            Err(format!("`{text}` is not a duration; expected for example `500ms` or `10s`"))
        };
    }
    humantime::parse_duration(text)
        .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
        .map_err(|_| format!("`{text}` is not a duration; expected for example `500ms` or `10s`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_users_write_them() {
        assert_eq!(parse_duration_ms("4.5"), Ok(4500));
        assert_eq!(parse_duration_ms("500ms"), Ok(500));
        assert_eq!(parse_duration_ms("1m 30s"), Ok(90_000));
        for bad in ["", "-1", "NaN", "inf", "soon", "1e99"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }
}
