//! Connection flags, as users of the `nats` CLI know them.

use crate::failure::Failure;
use catena_link::Settings;
use clap::Args;
use std::path::PathBuf;

/// How to reach NATS. Flags win over the environment, the environment over the context.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// NATS server URLs, separated by commas; credentials may stand inside [env: NATS_URL]
    #[arg(short, long, global = true, value_name = "URL", visible_alias = "nats")]
    server: Option<String>,

    /// User name, or token if there is no password [env: NATS_USER, NATS_PASSWORD]
    #[arg(long, global = true)]
    user: Option<String>,

    /// File with credentials: JWT and seed [env: NATS_CREDS]
    #[arg(long, global = true, value_name = "FILE")]
    creds: Option<PathBuf>,

    /// File with an nkey seed [env: NATS_NKEY]
    #[arg(long, global = true, value_name = "FILE")]
    nkey: Option<PathBuf>,

    /// File with the client's TLS certificate [env: NATS_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    tlscert: Option<PathBuf>,

    /// File with the client's TLS key [env: NATS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    tlskey: Option<PathBuf>,

    /// File with root certificates [env: NATS_CA]
    #[arg(long, global = true, value_name = "FILE")]
    tlsca: Option<PathBuf>,

    /// Do the TLS handshake before the server speaks
    #[arg(long, global = true)]
    tlsfirst: bool,

    /// Context of the `nats` CLI [env: NATS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,

    /// First token of all subjects, so that clusters can share an account [env: CATENA_PREFIX] [default: catena]
    #[arg(long, global = true, value_name = "TOKEN")]
    prefix: Option<String>,
}

impl Connection {
    /// Whether a flag names a server.
    pub(crate) const fn is_named(&self) -> bool {
        self.server.is_some() || self.context.is_some()
    }

    /// The settings, from all sources. Passwords and tokens come from the environment or a
    /// context only, because arguments can be read by every user of the machine.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let flags = Settings {
            url: self.server.clone(),
            user: self.user.clone(),
            password: self.user.as_ref().and(Settings::from_env().password),
            creds: self.creds.clone(),
            nkey: self.nkey.clone(),
            cert: self.tlscert.clone(),
            key: self.tlskey.clone(),
            ca: self.tlsca.clone(),
            tls_first: self.tlsfirst.then_some(true),
            context: self.context.clone(),
            prefix: self.prefix.clone(),
            ..Settings::default()
        };
        flags.or(Settings::from_env()).with_context().map_err(Failure::usage)
    }
}
