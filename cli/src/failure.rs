//! How a command fails: a sentence for a person, and an exit code for a script.

use catena_protocol::Fault;
use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// It did not work. Exit code 1.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    /// It was not asked for in the right way. Exit code 2.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), code: 2 }
    }

    /// Whether there is nothing to say.
    pub(crate) const fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A reader that has seen enough, as in `| head`, need not be told anything. Exit code 141, as of a
/// program that the signal ends.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self { message: String::new(), code: 141 },
            _ => Self::new(error),
        }
    }
}

macro_rules! from {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error)
            }
        })*
    };
}

from!(
    serde_json::Error,
    Fault,
    catena_client::Error,
    catena_link::ConnectError,
    catena_link::SettingsError,
    catena_nats_server::StartError,
    catena_service::TelemetryError
);
