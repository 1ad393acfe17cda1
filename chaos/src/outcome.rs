//! What a client was told, as the judge understands it.

use catena_client::{Entry, Error, ErrorKind, Timestamp, Updated};
use catena_history::Outcome;

/// A read was answered.
pub(crate) fn found(entry: Entry) -> Outcome {
    let version = entry.version.0;
    Outcome::Found { value: text(entry), version }
}

/// A write or delete was answered.
pub(crate) const fn done(version: Timestamp) -> Outcome {
    Outcome::Done { version: version.0 }
}

/// A comparison was answered.
pub(crate) fn updated(updated: Updated) -> Outcome {
    match updated {
        Updated::Done(version) => done(version),
        Updated::Differs(entry) => {
            let version = entry.version.0;
            Outcome::Differs { value: text(entry), version }
        }
    }
}

/// An addition was answered.
pub(crate) const fn sum(sum: i64) -> Outcome {
    Outcome::Sum { sum, version: 0 }
}

/// The value of an entry. All values that are written are text.
pub(crate) fn text(entry: Entry) -> Option<String> {
    entry.value.map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// Nothing was told but an error: it counts as refused only if its kind, or what it says, promises
/// that nothing was changed.
pub(crate) fn failed(error: &Error) -> Outcome {
    use ErrorKind as K;
    let promised = match error.kind() {
        K::BadRequest | K::Conflict | K::TooLarge | K::TooBusy | K::Encode => true,
        K::Deadline | K::Unavailable => error.to_string().contains("nothing was changed"),
        _ => false,
    };
    if promised { Outcome::Refused } else { Outcome::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catena_protocol::{Code, Fault};

    #[test]
    fn only_who_is_promised_that_nothing_changed_may_believe_it() {
        let outcome = |code, says: &str| failed(&Error::from(Fault::new(code, says)));
        let maybe = "the write may or may not have happened";
        assert_eq!(outcome(Code::Deadline, maybe), Outcome::Unknown);
        assert_eq!(outcome(Code::Unavailable, maybe), Outcome::Unknown);
        assert_eq!(outcome(Code::Internal, maybe), Outcome::Unknown);
        for code in [Code::Deadline, Code::Unavailable] {
            assert_eq!(outcome(code, "nothing was changed; try again"), Outcome::Refused);
        }
        for code in [Code::TooBusy, Code::TooLarge, Code::Conflict] {
            assert_eq!(outcome(code, ""), Outcome::Refused);
        }
    }
}
