//! Connecting, and telling the log what becomes of the connection.

use crate::settings::{Settings, SettingsError};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use catena_protocol::limit;
use catena_protocol::subject::Subjects;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// A connection and the subjects of the cluster that is reached through it.
#[derive(Clone, Debug)]
pub struct Link {
    /// The connection. Cheap to clone.
    pub client: Client,
    /// The subjects.
    pub subjects: Arc<Subjects>,
}

/// A connection that cannot be made, now or ever, with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The server refused, or (where waiting was not asked for) was not there.
    #[error("cannot connect to NATS at {servers}: {reason}")]
    Refused {
        /// Where.
        servers: String,
        /// Why.
        reason: String,
    },
}

impl Link {
    /// The largest message that the server takes, less a margin for headers and growth.
    pub fn message_limit(&self) -> usize {
        let server = self.client.max_payload();
        let server = if server == 0 { 1024 * 1024 } else { server };
        server.saturating_sub(limit::MESSAGE_MARGIN).max(server / 2)
    }
}

/// How long the end of a connection may take.
const CLOSE: Duration = Duration::from_secs(2);

/// Sends what is queued and ends the connection, for every clone of it. Returns whether all of it
/// was sent; with NATS away it was not.
pub async fn close(client: &Client) -> bool {
    let sent = async { client.flush().await.is_ok() & client.drain().await.is_ok() };
    tokio::time::timeout(CLOSE, sent).await.unwrap_or(false)
}

/// Connects as `name` (shown by `nats server report connections`).
///
/// With `wait` an absent server is waited for, with a line in the log every few seconds;
/// without, it is an error. Wrong credentials are an error in both cases.
///
/// # Errors
/// [`ConnectError`] with where and why.
pub async fn connect(settings: Settings, name: &str, wait: bool) -> Result<Link, ConnectError> {
    let subjects = match &settings.prefix {
        Some(prefix) => Subjects::new(prefix).map_err(SettingsError::from)?,
        None => Subjects::default(),
    };
    let servers = settings.servers()?;
    let addresses: Vec<ServerAddr> = servers
        .iter()
        .map(|url| url.parse().map_err(|_| SettingsError::Url { url: url.clone() }))
        .collect::<Result<_, _>>()?;
    let mut pause = Duration::from_millis(250);
    loop {
        let options = options(&settings, name).await?;
        match options.connect(addresses.clone()).await {
            Ok(client) => return Ok(Link { client, subjects: Arc::new(subjects) }),
            Err(error) => {
                let servers = servers.join(",");
                let reason = error.to_string();
                if !wait || is_login_error(&error) {
                    return Err(ConnectError::Refused { servers, reason });
                }
                warn!(servers, reason, "NATS cannot be reached; trying again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(4));
    }
}

fn is_login_error(error: &async_nats::ConnectError) -> bool {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation};
    matches!(error.kind(), Authentication | AuthorizationViolation)
}

async fn options(settings: &Settings, name: &str) -> Result<ConnectOptions, SettingsError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .ping_interval(Duration::from_secs(5))
        .client_capacity(8192)
        .subscription_capacity(65_536)
        .skip_subject_validation(false)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            report(&event);
            std::future::ready(())
        });
    options = login(options, settings).await?;
    if let Some(ca) = &settings.ca {
        options = options.add_root_certificates(ca.clone());
    }
    match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        (None, None) => {}
        _ => return Err(SettingsError::CertWithoutKey),
    }
    if settings.tls_first == Some(true) {
        options = options.tls_first();
    }
    if let Some(prefix) = &settings.inbox_prefix {
        options = options.custom_inbox_prefix(prefix);
    }
    Ok(options)
}

async fn login(
    options: ConnectOptions,
    settings: &Settings,
) -> Result<ConnectOptions, SettingsError> {
    let unreadable = |path: &std::path::Path, error: std::io::Error| SettingsError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    let from_url = settings.url_login();
    let user = settings.user.clone().or_else(|| from_url.as_ref().map(|(user, _)| user.clone()));
    let password =
        settings.password.clone().or_else(|| from_url.and_then(|(_, password)| password));
    if let Some(token) = &settings.token {
        return Ok(options.token(token.clone()));
    }
    match (user, password) {
        (Some(user), Some(password)) => return Ok(options.user_and_password(user, password)),
        (Some(token), None) => return Ok(options.token(token)),
        (None, _) => {}
    }
    if let Some(path) = &settings.creds {
        return options.credentials_file(path).await.map_err(|error| unreadable(path, error));
    }
    if let Some(path) = &settings.nkey {
        let seed =
            tokio::fs::read_to_string(path).await.map_err(|error| unreadable(path, error))?;
        return Ok(options.nkey(seed.trim().to_owned()));
    }
    Ok(options)
}

/// Fast at first, then slower, never in step with the other clients of a restarted server.
fn reconnect_delay(attempts: usize) -> Duration {
    if attempts <= 1 {
        return Duration::from_millis(rand::random_range(0..20));
    }
    let most = (20_u64 << attempts.min(7)).min(2_000);
    Duration::from_millis(rand::random_range(most / 2..=most))
}

fn report(event: &Event) {
    match event {
        Event::Connected => info!("connected to NATS"),
        Event::Disconnected => warn!("connection to NATS lost; trying to get it back"),
        Event::LameDuckMode => warn!("the NATS server is about to leave"),
        Event::SlowConsumer(_) => {
            warn!("messages were dropped because this process read them too slowly");
        }
        Event::ServerError(problem) => {
            let text = problem.to_string();
            if text.to_lowercase().contains("permissions violation") {
                error!(problem = text, "NATS refused a subject; check this user's permissions");
            } else {
                warn!(problem = text, "NATS reports an error");
            }
        }
        Event::ClientError(problem) => warn!(%problem, "NATS client error"),
        Event::Draining | Event::Closed => {}
    }
}
