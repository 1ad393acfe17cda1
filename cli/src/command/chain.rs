//! `catena chain`: definitions of chains.

use crate::client::client;
use crate::failure::Failure;
use crate::{input, output};
use catena_client::Client;
use catena_link::Settings;
use catena_protocol::chain::Definition;
use catena_protocol::{Name, limit};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Define chains, and show what is defined.
#[derive(Debug, Args)]
pub(crate) struct Chain {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Define a chain, or replace its definition; jobs under way keep the old one
    Set(Set),
    /// List all chains
    List(List),
    /// Print the definition of a chain
    Show(Which),
    /// Remove the definition of a chain; jobs under way go on
    Delete(Which),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  catena chain set shout trim,uppercase
  catena chain set count @count.json
  catena chain set tally '{\"steps\": [\"lowercase\", {\"operator\": \"word-count\",
      \"settings\": {\"store\": true}}], \"deadline\": \"10s\"}'")]
struct Set {
    /// Name of the chain
    name: Name,

    /// Its steps, as in `trim,uppercase`; or JSON; or `@file`; or `-`: standard input
    definition: String,

    /// Print a JSON object with chain and revision
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct List {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Which {
    /// Name of the chain
    name: Name,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Chain {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Set(set) => set.run(settings).await?,
            Verb::List(list) => list.run(&client(settings).await?).await?,
            Verb::Show(which) => show(&client(settings).await?, &which).await?,
            Verb::Delete(which) => delete(&client(settings).await?, &which).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    async fn run(self, settings: Settings) -> Result<(), Failure> {
        let text = input::text(self.definition, "the definition", limit::CHAIN_BYTES).await?;
        // What can be seen without a cluster is a mistake of usage.
        Definition::parse(&text).map_err(Failure::usage)?;
        let client = client(settings).await?;
        let revision = client.chains().set(self.name.as_str(), text).await?;
        if self.json {
            output::line(json!({ "chain": self.name, "revision": revision }))
        } else {
            output::line(format_args!("chain `{}` is set, revision {revision}", self.name))
        }
    }
}

impl List {
    async fn run(self, client: &Client) -> Result<(), Failure> {
        let all = client.chains().list().await?;
        if self.json {
            let all = all.iter().map(|(name, text)| as_json(name, text));
            return output::line(Value::Array(all.collect()));
        }
        if all.is_empty() {
            eprintln!(
                "no chain is defined; define one with `catena chain set shout trim,uppercase`"
            );
        }
        let rows: Vec<_> = all.iter().map(|(name, text)| row(name, text)).collect();
        output::table(&rows)
    }
}

async fn show(client: &Client, which: &Which) -> Result<(), Failure> {
    let text = defined(client, &which.name).await?;
    if which.json {
        return output::line(as_json(which.name.as_str(), &text));
    }
    match Definition::parse(&text) {
        Ok(definition) => output::line(serde_json::to_string_pretty(&definition)?),
        Err(fault) => {
            eprintln!("it cannot run: {fault}");
            output::line(text)
        }
    }
}

async fn delete(client: &Client, which: &Which) -> Result<(), Failure> {
    defined(client, &which.name).await?;
    client.chains().delete(which.name.as_str()).await?;
    if which.json {
        output::line(json!({ "chain": which.name, "deleted": true }))
    } else {
        output::line(format_args!("chain `{}` is deleted", which.name))
    }
}

async fn defined(client: &Client, name: &Name) -> Result<String, Failure> {
    client.chains().get(name.as_str()).await?.ok_or_else(|| {
        Failure::new(format!(
            "chain `{name}` is not defined; `catena chain list` shows those that are"
        ))
    })
}

/// A definition as JSON: `chain`, and `definition` or, if it cannot run, `text` and `error`.
fn as_json(name: &str, text: &str) -> Value {
    match Definition::parse(text) {
        Ok(definition) => json!({ "chain": name, "definition": definition }),
        Err(fault) => json!({ "chain": name, "text": text, "error": fault }),
    }
}

fn row(name: &str, text: &str) -> Vec<String> {
    let (steps, about) = match Definition::parse(text) {
        Ok(definition) => {
            let steps = definition.steps.iter().map(|step| step.operator.to_string());
            (steps.collect::<Vec<_>>().join(","), definition.description.unwrap_or_default())
        }
        Err(fault) => (String::new(), format!("cannot run: {fault}")),
    };
    vec![name.to_owned(), steps, about]
}
