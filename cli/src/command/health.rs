//! `catena health`: for supervisors and containers.

use crate::failure::Failure;
use catena_link::{Settings, connect};
use catena_protocol::subject::Role;
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use std::process::ExitCode;
use std::time::Duration;

/// Asks the services of one role whether one of them runs on this host.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Which kind of service
    role: RoleName,

    /// How long to wait for an answer, in seconds
    #[arg(long, default_value_t = 2.0)]
    timeout: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Scheduler,
    Worker,
    Storage,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Scheduler => Self::Scheduler,
            RoleName::Worker => Self::Worker,
            RoleName::Storage => Self::Storage,
        }
    }
}

impl Health {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let role = Role::from(self.role);
        let wait = Duration::try_from_secs_f64(self.timeout).map_err(Failure::usage)?;
        let found = tokio::time::timeout(wait, found_here(settings, role)).await;
        match found {
            Ok(Ok(id)) => {
                crate::output::line(format!("{role} {id} answers"))?;
                Ok(ExitCode::SUCCESS)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::new(format!("no {role} on this host answers"))),
        }
    }
}

/// Returns the id of a service of `role` on this host, once one answers.
async fn found_here(settings: Settings, role: Role) -> Result<String, Failure> {
    let link = connect(settings, "catena-health", false).await?;
    let inbox = link.client.new_inbox();
    let mut answers = link.client.subscribe(inbox.clone()).await.map_err(Failure::new)?;
    let subject = format!("$SRV.PING.catena-{role}");
    link.client.publish_with_reply(subject, inbox, "".into()).await.map_err(Failure::new)?;
    let here = catena_service::host();
    while let Some(message) = answers.next().await {
        let Ok(answer) = serde_json::from_slice::<serde_json::Value>(&message.payload) else {
            continue;
        };
        if answer["metadata"]["host"] == here.as_str() {
            return Ok(answer["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    Err(Failure::new("the connection was closed"))
}
