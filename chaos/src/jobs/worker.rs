//! The worker of the jobs, in a process of its own.

use super::operators::operators;
use crate::failure::Failure;
use catena_link::Settings;
use catena_protocol::NodeId;
use catena_worker::Config;
use tokio::process::Command;

/// Which worker to be; not set: none.
const ID: &str = "CATENA_CHAOS_WORKER";
/// Where its NATS server is.
const SERVER: &str = "CATENA_CHAOS_SERVER";

/// Makes a process of this command, which calls [`work`], this worker of the servers at `url`.
pub(crate) fn as_worker<'a>(command: &'a mut Command, id: &str, url: &str) -> &'a mut Command {
    command.env(ID, id).env(SERVER, url)
}

/// Whether this process was started to be a worker of a run.
pub fn is_worker() -> bool {
    std::env::var_os(ID).is_some()
}

/// Is a worker until SIGTERM, in a process that a run has started; does nothing in another.
///
/// # Errors
/// [`Failure`] if it can not be one.
pub async fn work() -> Result<(), Failure> {
    let (Ok(id), Ok(url)) = (std::env::var(ID), std::env::var(SERVER)) else { return Ok(()) };
    let wrong = |error: &dyn std::fmt::Display| Failure::Start(error.to_string());
    catena_service::init_logs("info,async_nats=warn", catena_service::LogFormat::Text)
        .map_err(|error| wrong(&error))?;
    let id = NodeId::new(id).map_err(|error| wrong(&error))?;
    let registry = operators().map_err(|error| wrong(&error))?;
    let config = Config { id: Some(id), registry, ..Config::default() };
    let running = catena_worker::run(config, Settings::url(url), catena_service::on_signals());
    running.await.map_err(|error| wrong(&error))
}
