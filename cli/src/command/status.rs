//! `catena status`

use crate::client::link;
use crate::failure::Failure;
use crate::output;
use crate::services::{Endpoint, Service, services};
use catena_link::Settings;
use catena_protocol::subject::Role;
use clap::Args;
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Show every service of the cluster: how long it runs, how loaded it is, what it answered.
///
/// The exit code is 1 if there is none of a role that is needed.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print a JSON object: lists of `schedulers`, `workers` and `storage` nodes
    #[arg(long)]
    json: bool,
}

const ROLES: [(Role, &str); 3] =
    [(Role::Scheduler, "schedulers"), (Role::Worker, "workers"), (Role::Storage, "storage")];

impl Status {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let found = services(&link(settings).await?).await?;
        if self.json {
            let list = |role| -> Value { of(&found, role).map(as_json).collect() };
            let lists = ROLES.into_iter().map(|(role, name)| (name.to_owned(), list(role)));
            output::line(Value::Object(lists.collect::<Map<_, _>>()))?;
        } else {
            print(&found)?;
        }
        let missing: Vec<_> =
            ROLES.iter().filter(|(role, _)| of(&found, *role).next().is_none()).collect();
        for (role, _) in &missing {
            eprintln!("no {role} answers; start one with `catena {role}`");
        }
        Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn of(found: &[Service], role: Role) -> impl Iterator<Item = &Service> {
    found.iter().filter(move |service| service.role == role)
}

fn as_json(service: &Service) -> Value {
    let endpoint = |endpoint: &Endpoint| {
        json!({
            "name": endpoint.name, "requests": endpoint.requests, "errors": endpoint.errors,
            "mean_us": endpoint.mean_ns as f64 / 1000.0, "last_error": endpoint.last_error,
        })
    };
    json!({
        "role": service.role, "id": service.id, "version": service.version,
        "host": service.host, "uptime_s": service.uptime.as_secs_f64(), "load": service.load,
        "endpoints": service.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn print(found: &[Service]) -> Result<(), Failure> {
    for service in found {
        let uptime = Duration::from_secs(service.uptime.as_secs());
        output::line(format_args!(
            "{} {}  version {}, up {}, {}",
            service.role,
            service.id,
            service.version,
            humantime::format_duration(uptime),
            load(&service.load)
        ))?;
        let used = service.endpoints.iter().filter(|endpoint| endpoint.requests > 0);
        let rows: Vec<_> = used.map(row).collect();
        output::table(&rows)?;
    }
    Ok(())
}

/// The figures of a service in a line; lists and tables are left to JSON.
fn load(load: &Value) -> String {
    let figures = load.as_object().into_iter().flatten();
    let plain = figures.filter(|(_, value)| value.is_number() || **value == Value::Bool(true));
    plain.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn row(endpoint: &Endpoint) -> Vec<String> {
    let mean = Duration::from_nanos(endpoint.mean_ns);
    let mut row = vec![
        format!("    {}", endpoint.name),
        format!("{} requests", endpoint.requests),
        format!("{mean:.1?} mean"),
    ];
    if endpoint.errors > 0 {
        row.push(format!("{} errors, last: {}", endpoint.errors, endpoint.last_error));
    }
    row
}
