//! `catena job`: what becomes of a job.

use super::job_flags::duration;
use super::run::facts;
use crate::client::{client, link};
use crate::edge::{Refusal, ask};
use crate::failure::Failure;
use crate::output;
use bytes::Bytes;
use catena_link::{Link, Settings};
use catena_protocol::subject::JobVerb;
use catena_protocol::{Fault, JobId, edge};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Ask what becomes of a job.
#[derive(Debug, Args)]
pub(crate) struct Job {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Where it stands: queued, running, committed, failed, cancelled or dead
    Status(Which),
    /// Its result; fails with its reason if it has none, or not yet
    Result(Which),
    /// Wait until it has ended, and print its result
    Wait(Wait),
}

#[derive(Debug, Args)]
struct Which {
    /// Id of the job, as `submit` printed it
    job: JobId,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Wait {
    #[command(flatten)]
    which: Which,

    /// How long to wait, as in `500ms` or `10s`
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: Duration,
}

impl Job {
    pub(crate) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Status(which) => status(&link(settings).await?, &which).await,
            Verb::Result(which) => result(&link(settings).await?, &which).await,
            Verb::Wait(wait) => wait.run(settings).await,
        }
    }
}

impl Wait {
    async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let Self { which: Which { job, json }, timeout } = self;
        let client = client(settings).await?;
        let ended = client.wait_for(job, timeout).await;
        if !json {
            output::bytes(&ended?.bytes)?;
            return Ok(ExitCode::SUCCESS);
        }
        let good = ended.is_ok();
        let mut object = facts(ended);
        object.insert("job".to_owned(), json!(job));
        output::line(Value::Object(object))?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn status(link: &Link, which: &Which) -> Result<ExitCode, Failure> {
    let subject = link.subjects.job(&which.job.to_string(), JobVerb::Status);
    let answer = match ask(link, subject, Bytes::new()).await {
        Ok(answer) => answer,
        Err(Refusal::Fault(fault)) if which.json => return refused(which.job, &fault),
        Err(refusal) => return Err(refusal.into()),
    };
    let facts: Map<String, Value> = serde_json::from_slice(&answer.payload)?;
    if which.json {
        output::line(Value::Object(facts))?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |(name, value): (&String, &Value)| vec![name.clone(), plain(value)];
    let known = facts.iter().filter(|(_, value)| !value.is_null());
    let mut rows: Vec<_> = known.map(row).collect();
    let first = |row: &Vec<String>| match row.first().map(String::as_str) {
        Some("job") => 0,
        Some("state") => 1,
        _ => 2,
    };
    rows.sort_by_key(first);
    output::table(&rows)?;
    Ok(ExitCode::SUCCESS)
}

/// A value as a person reads it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" -> "),
        Value::Object(error) if error.contains_key("message") => plain(&error["message"]),
        other => other.to_string(),
    }
}

async fn result(link: &Link, which: &Which) -> Result<ExitCode, Failure> {
    let subject = link.subjects.job(&which.job.to_string(), JobVerb::Result);
    let answer = match ask(link, subject, Bytes::new()).await {
        Ok(answer) => answer,
        Err(Refusal::Fault(fault)) if which.json => return refused(which.job, &fault),
        Err(refusal) => return Err(refusal.into()),
    };
    if !which.json {
        output::bytes(&answer.payload)?;
        return Ok(ExitCode::SUCCESS);
    }
    let version = answer.headers.as_ref().and_then(|headers| headers.get(edge::VERSION));
    let version: Option<u64> = version.and_then(|version| version.as_str().parse().ok());
    let mut object = Map::new();
    object.insert("job".to_owned(), json!(which.job));
    object.insert("version".to_owned(), json!(version));
    output::insert_bytes(&mut object, "result", &answer.payload);
    output::line(Value::Object(object))?;
    Ok(ExitCode::SUCCESS)
}

fn refused(job: JobId, fault: &Fault) -> Result<ExitCode, Failure> {
    output::line(json!({ "job": job, "error": fault }))?;
    Ok(ExitCode::FAILURE)
}
