//! How to connect.

use crate::Error;
use catena_link::Settings;

/// Connection settings, as NATS users know them.
///
/// A plain string is the server's address, or several separated by commas; user and password
/// may stand inside. [`Options::from_env`] reads what the `nats` CLI reads.
///
/// ```
/// use catena_client::Options;
/// let options = Options::new("nats://a:4222,nats://b:4222").prefix("staging");
/// let same = Options::from("nats://bob:secret@a:4222");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    settings: Settings,
    context: bool,
    name: Option<String>,
    wait: bool,
}

impl Options {
    /// The given servers, and nothing from the environment.
    pub fn new(url: impl Into<String>) -> Self {
        Self::of(Settings::url(url))
    }

    /// What the environment says (`NATS_URL`, `NATS_USER`, `NATS_PASSWORD`, `NATS_TOKEN`,
    /// `NATS_CREDS`, `NATS_NKEY`, `NATS_CA`, `NATS_CERT`, `NATS_KEY`, `NATS_CONTEXT`,
    /// `CATENA_PREFIX`), else the selected context of the `nats` CLI, else
    /// `nats://127.0.0.1:4222`.
    pub fn from_env() -> Self {
        Self { context: true, ..Self::of(Settings::from_env()) }
    }

    /// Settings in every detail.
    pub const fn of(settings: Settings) -> Self {
        Self { settings, context: false, name: None, wait: false }
    }

    /// A file with JWT and seed.
    pub fn credentials(mut self, file: impl Into<std::path::PathBuf>) -> Self {
        self.settings.creds = Some(file.into());
        self
    }

    /// User and password.
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.settings.user = Some(user.into());
        self.settings.password = Some(password.into());
        self
    }

    /// A token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.settings.token = Some(token.into());
        self
    }

    /// The prefix of the cluster's subjects. Default `catena`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = Some(prefix.into());
        self
    }

    /// What the server's list of connections shows. Default `catena-client`.
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Waits for an absent server instead of failing at once.
    pub const fn wait_for_server(mut self) -> Self {
        self.wait = true;
        self
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "catena-client".to_owned())
    }

    pub(crate) const fn waits(&self) -> bool {
        self.wait
    }

    pub(crate) fn into_settings(self) -> Result<Settings, Error> {
        if self.context { Ok(self.settings.with_context()?) } else { Ok(self.settings) }
    }
}

impl From<&str> for Options {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for Options {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl From<Settings> for Options {
    fn from(settings: Settings) -> Self {
        Self::of(settings)
    }
}
