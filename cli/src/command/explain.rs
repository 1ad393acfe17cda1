//! `catena run --explain`: what a job took, from what came back with its result.
//!
//! Promise: attempts are those of the whole job, as its scheduler counted them; workers,
//! partitions, rounds and messages are of the last attempt. What it did in partitions, its rounds
//! and its messages between storage nodes were counted by its home. The other messages are known,
//! not counted: what a call, the planned steps, and a commit and its answer take. What is not known
//! is left out.

use crate::output;
use catena_client::{Costs, Explained, Part, RunResult};
use serde_json::{Value, json};

/// Why a job has the home that it has.
#[derive(Clone, Debug)]
pub(crate) enum Because {
    /// A routing key was given.
    Key(String),
    /// Only an idempotency key was.
    Idempotency(String),
    /// Neither; the chain's own `key` found it in the input, or it was chosen by chance.
    Open,
}

impl Because {
    fn text(&self, result: &RunResult) -> String {
        match (self, &result.found_key) {
            (Self::Key(key), _) => format!("the routing key is `{key}`"),
            (Self::Idempotency(key), _) => format!("the idempotency key is `{key}`"),
            (Self::Open, Some(key)) => format!("the chain's `key` finds `{key}` in the input"),
            (Self::Open, None) => "chosen at random: no routing key was given".to_owned(),
        }
    }

    const fn word(&self, result: &RunResult) -> &'static str {
        match (self, &result.found_key) {
            (Self::Key(_), _) => "key",
            (Self::Idempotency(_), _) => "idempotency-key",
            (Self::Open, Some(_)) => "chain",
            (Self::Open, None) => "chance",
        }
    }
}

/// Messages on the way from the call to its answer, with the last attempt only. Reads of operators
/// are not among them, nor what replicas tell each other, nor what follows behind the answer.
#[derive(Debug, PartialEq, Eq)]
struct Messages {
    /// The call, and its answer; both twice where the job was sent to another home. Not counted.
    caller: u64,
    /// Steps to workers: to the first one, and on to each other one. As planned, not counted.
    steps: u64,
    /// Between worker and home primary: a commit and its answer. Not counted, nor where sent again.
    commit: u64,
    /// Between home primary and other nodes, as it counted them, what was sent again among them.
    prepare: u64,
}

impl Messages {
    fn of(result: &RunResult, explained: &Explained) -> Self {
        let plan = &explained.plan;
        let handoffs = plan.windows(2).filter(|pair| pair[0] != pair[1]).count();
        let costs = explained.commit.as_ref();
        Self {
            caller: if result.sent_twice { 4 } else { 2 },
            steps: 1 + handoffs as u64,
            commit: if costs.is_some() { 2 } else { 0 },
            prepare: costs.map_or(0, |costs| u64::from(costs.asked) + u64::from(costs.answered)),
        }
    }

    const fn all(&self) -> u64 {
        self.caller + self.steps + self.commit + self.prepare
    }
}

/// As JSON.
pub(super) fn as_json(result: &RunResult, because: &Because) -> Value {
    let mut all = json!({
        "home": { "partition": result.job.home(), "because": because.word(result) },
    });
    let Some(explained) = &result.explained else { return all };
    let (tries, messages) = (explained.tries, Messages::of(result, explained));
    all["attempts"] = tries.attempts.into();
    all["conflicts"] = tries.conflicts.into();
    all["retries"] = tries.retries.into();
    all["repeats"] = tries.repeats.into();
    all["workers"] = json!(explained.plan);
    all["messages"] = json!({
        "caller": messages.caller,
        "steps": messages.steps,
        "commit": messages.commit,
        "prepare": messages.prepare,
        "all": messages.all(),
    });
    if let Some(costs) = &explained.commit {
        all["rounds"] = costs.rounds.into();
        all["partitions"] = costs.parts.iter().map(part_json).collect();
    }
    all
}

fn part_json(part: &Part) -> Value {
    json!({
        "partition": part.partition,
        "node": part.node,
        "reads": part.reads,
        "scans": part.scans,
        "writes": part.writes,
    })
}

/// As a table for people, on standard error: standard output is for the result.
pub(super) fn print(result: &RunResult, because: &Because) {
    let mut rows = vec![
        ["job".to_owned(), result.job.to_string()],
        ["Catena-Version".to_owned(), result.version.to_string()],
        ["home".to_owned(), format!("partition {}: {}", result.job.home(), because.text(result))],
    ];
    match &result.explained {
        Some(explained) => rows.extend(facts(result, explained)),
        None => {
            rows.push(["unknown".to_owned(), "the answer was lost; this is its outcome".into()]);
        }
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    for line in output::columns(&rows) {
        eprintln!("{line}");
    }
}

fn facts(result: &RunResult, explained: &Explained) -> Vec<[String; 2]> {
    let row = |name: &str, text: String| [name.to_owned(), text];
    let (tries, messages) = (explained.tries, Messages::of(result, explained));
    let workers: Vec<&str> = explained.plan.iter().map(|worker| worker.as_str()).collect();
    let mut rows = vec![
        row(
            "attempts",
            format!(
                "{} ({} lost against other jobs, {} failed operators, {} other trouble)",
                tries.attempts, tries.conflicts, tries.retries, tries.repeats
            ),
        ),
        row("workers", workers.join(" -> ")),
    ];
    match &explained.commit {
        Some(costs) => rows.extend(commit(result.job.home(), costs)),
        None => rows.push(row("commit", "none with this attempt".to_owned())),
    }
    rows.push(row(
        "messages",
        format!(
            "{}: {} with the caller, {} steps, {} to commit, {} between storage nodes",
            messages.all(),
            messages.caller,
            messages.steps,
            messages.commit,
            messages.prepare
        ),
    ));
    rows
}

fn commit(home: u16, costs: &Costs) -> Vec<[String; 2]> {
    let partition = |part: &Part| {
        let node = part.node.as_ref().map_or("an unknown node", |node| node.as_str());
        let is_home = if part.partition == home { " (home)" } else { "" };
        let Part { partition, reads, scans, writes, .. } = part;
        let did = format!("{reads} read, {scans} scanned, {writes} written");
        ["partition".to_owned(), format!("{partition} on {node}{is_home}: {did}")]
    };
    let rounds = match costs.rounds {
        0 => "0: the home's node decided alone".to_owned(),
        rounds => format!("{rounds} of asking all partitions"),
    };
    let mut rows: Vec<_> = costs.parts.iter().map(partition).collect();
    rows.push(["rounds".to_owned(), rounds]);
    rows
}
