//! Connection settings as NATS users know them: flag over environment over context over
//! `nats://127.0.0.1:4222`.

use crate::context;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::path::PathBuf;

/// How to reach NATS and as whom. What is `None` is taken from the next source.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Server URLs, separated by commas; credentials may stand inside.
    pub url: Option<String>,
    /// User name, or a token if there is no password.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
    /// File with JWT and seed.
    pub creds: Option<PathBuf>,
    /// File with an nkey seed.
    pub nkey: Option<PathBuf>,
    /// File with root certificates.
    pub ca: Option<PathBuf>,
    /// File with the client's certificate; needs `key`.
    pub cert: Option<PathBuf>,
    /// File with the client's key; needs `cert`.
    pub key: Option<PathBuf>,
    /// Do the TLS handshake before the server speaks.
    pub tls_first: Option<bool>,
    /// Prefix of inboxes.
    pub inbox_prefix: Option<String>,
    /// Name of a `nats` CLI context.
    pub context: Option<String>,
    /// Prefix of every Catena subject; default `catena`.
    pub prefix: Option<String>,
}

impl fmt::Debug for Settings {
    /// Leaves out what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.servers().map(|list| list.join(",")).unwrap_or_default())
            .field("user", &self.user.is_some())
            .field("creds", &self.creds)
            .field("context", &self.context)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Connection settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A server URL is malformed.
    #[error("`{url}` is not a server address; expected for example `nats://127.0.0.1:4222`")]
    Url {
        /// The URL, without credentials.
        url: String,
    },
    /// A context is missing or malformed.
    #[error("context `{name}`: {reason}")]
    Context {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// Two settings need each other.
    #[error("a client certificate needs both `cert` and `key`")]
    CertWithoutKey,
    /// The prefix is no subject token.
    #[error(transparent)]
    Prefix(#[from] catena_protocol::id::IdError),
}

const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

impl Settings {
    /// Just a URL; everything else default, nothing from the environment.
    pub fn url(url: impl Into<String>) -> Self {
        Self { url: Some(url.into()), ..Self::default() }
    }

    /// What the process environment says (`NATS_URL`, `NATS_USER`, `NATS_CREDS`, ...).
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// What the variables that `var` finds say.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name| var(name).map(PathBuf::from);
        Self {
            url: var("NATS_URL"),
            user: var("NATS_USER"),
            password: var("NATS_PASSWORD"),
            token: var("NATS_TOKEN"),
            creds: path("NATS_CREDS"),
            nkey: path("NATS_NKEY"),
            ca: path("NATS_CA"),
            cert: path("NATS_CERT"),
            key: path("NATS_KEY"),
            tls_first: None,
            inbox_prefix: var("NATS_INBOX_PREFIX"),
            context: var("NATS_CONTEXT"),
            prefix: var("CATENA_PREFIX"),
        }
    }

    /// These settings, with what they leave open taken from `other`. Ways to log in are taken
    /// together: who names a user does not get the credentials file of somebody else.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let login = self.has_login();
        let rest = |mine: Option<String>, other: Option<String>| if login { mine } else { other };
        let file = |mine: Option<PathBuf>, other: Option<PathBuf>| if login { mine } else { other };
        Self {
            url: self.url.or(other.url),
            user: rest(self.user, other.user),
            password: rest(self.password, other.password),
            token: rest(self.token, other.token),
            creds: file(self.creds, other.creds),
            nkey: file(self.nkey, other.nkey),
            ca: self.ca.or(other.ca),
            cert: self.cert.or(other.cert),
            key: self.key.or(other.key),
            tls_first: self.tls_first.or(other.tls_first),
            inbox_prefix: self.inbox_prefix.or(other.inbox_prefix),
            context: self.context.or(other.context),
            prefix: self.prefix.or(other.prefix),
        }
    }

    /// These settings, completed from the `nats` CLI context that they name, or from the
    /// selected one if they name neither a context nor a server.
    ///
    /// # Errors
    /// If the named context cannot be used.
    pub fn with_context(self) -> Result<Self, SettingsError> {
        match context::load(self.context.as_deref(), self.url.is_none())? {
            Some(context) => Ok(self.or(context)),
            None => Ok(self),
        }
    }

    fn has_login(&self) -> bool {
        self.user.is_some() || self.token.is_some() || self.creds.is_some() || self.nkey.is_some()
    }

    /// The server addresses, without credentials.
    ///
    /// # Errors
    /// If one of them is malformed.
    pub fn servers(&self) -> Result<Vec<String>, SettingsError> {
        let list = self.url.as_deref().unwrap_or(DEFAULT_URL);
        list.split(',').map(str::trim).filter(|url| !url.is_empty()).map(without_login).collect()
    }

    /// User and password that stand in the first URL that has any, percent-decoded.
    pub(crate) fn url_login(&self) -> Option<(String, Option<String>)> {
        let login = |url: &str| {
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
            let (login, _) = rest.rsplit_once('@')?;
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Some(match login.split_once(':') {
                Some((user, password)) => (decode(user), Some(decode(password))),
                None => (decode(login), None),
            })
        };
        self.url.as_deref()?.split(',').find_map(login)
    }
}

fn without_login(url: &str) -> Result<String, SettingsError> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let known = matches!(scheme, "nats" | "tls" | "ws" | "wss");
    let shown = format!("{scheme}://{host}");
    let parsed: Result<async_nats::ServerAddr, _> = shown.parse();
    if known && !host.is_empty() && parsed.is_ok() {
        Ok(shown)
    } else {
        Err(SettingsError::Url { url: shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_with_credentials_inside_are_understood() {
        let settings = Settings::url("nats://bob:s%40crt@a:4222, b:5222,tls://c");
        assert_eq!(settings.servers().unwrap(), ["nats://a:4222", "nats://b:5222", "tls://c"]);
        assert_eq!(settings.url_login(), Some(("bob".into(), Some("s@crt".into()))));
        assert_eq!(Settings::url("nats://a").url_login(), None);
    }

    #[test]
    fn flags_win_over_environment_and_logins_do_not_mix() {
        let env = Settings::from_vars(|name| match name {
            "NATS_URL" => Some("nats://env".into()),
            "NATS_CREDS" => Some("/env.creds".into()),
            _ => None,
        });
        let flags = Settings { user: Some("bob".into()), ..Settings::default() };
        let all = flags.or(env);
        assert_eq!((all.url.as_deref(), all.user.as_deref()), (Some("nats://env"), Some("bob")));
        assert_eq!(all.creds, None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = Settings {
            password: Some("hunter2".into()),
            token: Some("t0ken".into()),
            ..Settings::url("nats://bob:hunter3@a")
        };
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter") && !shown.contains("t0ken"), "{shown}");
        let bad = Settings::url("http://bob:hunter3@a").servers().unwrap_err().to_string();
        assert!(!bad.contains("hunter"), "{bad}");
    }
}
