//! The one shape of an error that crosses the wire: an HTTP-like code and a sentence.

use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of error it is. The numbers are those of HTTP, as is the custom of NATS services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum Code {
    /// The request cannot be understood; sending it again will not help.
    BadRequest = 400,
    /// No such chain, operator, job or key.
    NotFound = 404,
    /// Somebody else changed what this depends on; nothing was changed by this request.
    Conflict = 409,
    /// The job was cancelled.
    Cancelled = 410,
    /// A limit on size was exceeded; nothing was changed.
    TooLarge = 413,
    /// An operator failed; the job had no effect.
    OperatorFailed = 422,
    /// A queue is full; nothing was changed; try again later.
    TooBusy = 429,
    /// A fault of the platform itself.
    Internal = 500,
    /// No worker or no primary at the moment; try again.
    Unavailable = 503,
    /// The time is up.
    Deadline = 504,
}

impl Code {
    /// Every code, in order.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::NotFound,
        Self::Conflict,
        Self::Cancelled,
        Self::TooLarge,
        Self::OperatorFailed,
        Self::TooBusy,
        Self::Internal,
        Self::Unavailable,
        Self::Deadline,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number; unknown numbers are [`Code::Internal`].
    pub fn from_number(number: u16) -> Self {
        Self::ALL.into_iter().find(|code| code.number() == number).unwrap_or(Self::Internal)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl<C> Encode<C> for Code {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u16(self.number())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Code {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        d.u16().map(Self::from_number)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u16(self.number())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        u16::deserialize(d).map(Self::from_number)
    }
}

/// An error as a caller sees it. The message says what happened, whether anything was changed,
/// and where it helps what to do.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of error.
    #[n(0)]
    pub code: Code,
    /// A sentence for a person, lower case, values in backquotes.
    #[n(1)]
    pub message: String,
}

impl Fault {
    /// An error of kind `code`.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A request that cannot be understood.
    pub fn bad_request(message: impl fmt::Display) -> Self {
        Self::new(Code::BadRequest, message.to_string())
    }
}
