//! `catena operators`: what the steps of chains can be.

use crate::client::link;
use crate::edge::ask;
use crate::failure::Failure;
use crate::output;
use bytes::Bytes;
use catena_link::{Link, Settings};
use catena_protocol::Name;
use catena_protocol::chain::{Effect, Service};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::process::ExitCode;

/// List the operators that chains can name; define service operators.
///
/// A service operator is any program, in any language, that answers a NATS subject.
#[derive(Debug, Args)]
pub(crate) struct Operators {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List all operators (what is done if nothing is said)
    List,
    /// Define a service operator, or replace its definition
    Set(Set),
    /// Remove the definition of a service operator
    Delete {
        /// Name of the operator
        name: Name,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  catena operators set enrich --subject my.enrich --description 'adds the country'")]
struct Set {
    /// Name of the operator
    name: Name,

    /// The subject that the program answers
    #[arg(long, value_name = "SUBJECT")]
    subject: String,

    /// What it may do to the store
    #[arg(long, value_enum, default_value_t = Touches::Pure)]
    effect: Touches,

    /// One line of help
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Touches {
    Pure,
    ReadOnly,
    Writing,
}

impl From<Touches> for Effect {
    fn from(touches: Touches) -> Self {
        match touches {
            Touches::Pure => Self::Pure,
            Touches::ReadOnly => Self::ReadOnly,
            Touches::Writing => Self::Writing,
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    operators: Vec<Operator>,
}

#[derive(Deserialize, Serialize)]
struct Operator {
    name: Name,
    kind: String,
    effect: Effect,
    workers: usize,
    help: String,
}

impl Operators {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self.verb {
            None | Some(Verb::List) => list(&link(settings).await?, self.json).await?,
            Some(Verb::Set(set)) => {
                let (name, service) = set.service()?;
                let body = serde_json::to_vec(&service)?.into();
                change(&link(settings).await?, &name, body, "set", self.json).await?;
            }
            Some(Verb::Delete { name }) => {
                let link = link(settings).await?;
                check_service(&link, &name).await?;
                change(&link, &name, Bytes::new(), "deleted", self.json).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    fn service(self) -> Result<(Name, Service), Failure> {
        let Self { name, subject, effect, description } = self;
        let service = Service { subject, effect: effect.into(), description };
        Service::parse(&serde_json::to_string(&service)?).map_err(Failure::usage)?;
        Ok((name, service))
    }
}

async fn known(link: &Link) -> Result<Vec<Operator>, Failure> {
    let answer = ask(link, link.subjects.operators(), Bytes::new()).await?;
    Ok(serde_json::from_slice::<Listed>(&answer.payload)?.operators)
}

async fn list(link: &Link, json: bool) -> Result<(), Failure> {
    let operators = known(link).await?;
    if json {
        return output::line(json!({ "operators": operators }));
    }
    for Operator { name, kind, effect, workers, help } in &operators {
        let effect = serde_json::to_value(effect)?;
        let effect = effect.as_str().unwrap_or_default();
        let nobody =
            if kind != "service" && *workers == 0 { ", no worker runs it now" } else { "" };
        output::line(format_args!("{name}  ({kind}, {effect}{nobody})"))?;
        output::line(format_args!("    {help}"))?;
    }
    Ok(())
}

async fn check_service(link: &Link, name: &Name) -> Result<(), Failure> {
    match known(link).await?.iter().find(|operator| operator.name == *name) {
        Some(operator) if operator.kind == "service" => Ok(()),
        Some(operator) => Err(Failure::new(format!(
            "operator `{name}` is {}: it comes with the workers and cannot be deleted",
            operator.kind
        ))),
        None => Err(Failure::new(format!(
            "operator `{name}` is not known; `catena operators` lists those that are"
        ))),
    }
}

async fn change(
    link: &Link,
    name: &Name,
    body: Bytes,
    verb: &str,
    json: bool,
) -> Result<(), Failure> {
    let answer = ask(link, link.subjects.operator_set(name.as_str()), body).await?;
    if json {
        return output::line(serde_json::from_slice::<Value>(&answer.payload)?);
    }
    output::line(format_args!("operator `{name}` is {verb}"))
}
