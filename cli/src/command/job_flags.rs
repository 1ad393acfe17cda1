//! What `run` and `submit` have in common: which chain, which input, and what is said about the
//! job.

use super::explain::Because;
use crate::failure::Failure;
use crate::input;
use bytes::Bytes;
use catena_client::{Client, Run, Submit, Timestamp};
use catena_protocol::{Name, limit};
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

/// Which chain, which input, and what is said about the job.
#[derive(Debug, Args)]
pub(crate) struct JobFlags {
    /// Name of the chain; left out with --inline
    #[arg(value_name = "CHAIN")]
    first: Option<OsString>,

    /// Input of the job; `-` or nothing: standard input
    #[arg(value_name = "INPUT")]
    second: Option<OsString>,

    /// Steps of a chain that needs no definition, as in `trim,uppercase`, or its JSON
    #[arg(long, value_name = "STEPS")]
    inline: Option<String>,

    /// A job for each line of standard input
    #[arg(long)]
    pub(crate) each_line: bool,

    /// Most jobs at once with --each-line
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) concurrency: u32,

    /// Routing key: chooses where the outcome is kept; best the key or tag that the chain writes
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Names the job, so that asking again runs it once; with --each-line the number of the line
    /// is put behind it
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// When the job ends in any case, as in `500ms` or `10s`; plain numbers are seconds
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,

    /// The job sees at least what was written up to this version
    #[arg(long, value_name = "VERSION")]
    after: Option<u64>,

    /// Print a JSON object for each job
    #[arg(long)]
    pub(crate) json: bool,
}

/// A duration as users write it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    catena_protocol::edge::parse_duration_ms(text).map(Duration::from_millis)
}

/// A chain, by name or by its steps.
#[derive(Clone, Debug)]
pub(crate) enum Called {
    Named(String),
    Inline(String),
}

/// What is to be run, and on what.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub(crate) called: Called,
    /// The one input; none: standard input.
    pub(crate) input: Option<OsString>,
    key: Option<String>,
    idempotency_key: Option<String>,
    timeout: Option<Duration>,
    after: Option<u64>,
}

impl JobFlags {
    /// Finds out which argument is which.
    pub(crate) fn jobs(self) -> Result<Jobs, Failure> {
        let (called, input) = match (self.inline, self.first, self.second) {
            (Some(_), Some(_), Some(_)) => {
                return Err(Failure::usage("with --inline there is no CHAIN, only an INPUT"));
            }
            (Some(steps), input, None) | (Some(steps), None, input) => {
                (Called::Inline(steps), input)
            }
            (None, Some(chain), input) => (Called::Named(chain_name(chain)?), input),
            (None, None, _) => {
                return Err(Failure::usage(
                    "which chain? name one, as in `catena run shout hello`, or give its steps, as \
                     in `catena run --inline trim,uppercase hello`",
                ));
            }
        };
        if self.each_line && input.as_ref().is_some_and(|input| input != "-") {
            return Err(Failure::usage(
                "--each-line reads the inputs from standard input; leave INPUT out",
            ));
        }
        Ok(Jobs {
            called,
            input,
            key: self.key,
            idempotency_key: self.idempotency_key,
            timeout: self.timeout,
            after: self.after,
        })
    }
}

fn chain_name(chain: OsString) -> Result<String, Failure> {
    let chain = chain.to_string_lossy().into_owned();
    Name::new(&chain).map_err(|error| {
        Failure::usage(format!("{error}; steps are given with --inline, as in `--inline {chain}`"))
    })?;
    Ok(chain)
}

impl Jobs {
    /// Reads the one input.
    pub(crate) async fn read_input(&mut self) -> Result<Bytes, Failure> {
        input::argument_or_stdin(self.input.take(), "the input", limit::PAYLOAD_BYTES).await
    }

    /// One job to run, `line` of many if there are many.
    pub(crate) fn run<'a>(&self, client: &'a Client, input: Bytes, line: Option<u64>) -> Run<'a> {
        let mut run = match &self.called {
            Called::Named(chain) => client.run(chain, input),
            Called::Inline(steps) => client.run_inline(steps, input),
        };
        if let Some(key) = &self.key {
            run = run.key(key);
        }
        if let Some(key) = self.idempotency_key(line) {
            run = run.idempotency_key(key);
        }
        if let Some(timeout) = self.timeout {
            run = run.timeout(timeout);
        }
        run.after(Timestamp(self.after.unwrap_or(0)))
    }

    /// One job for the durable queue.
    pub(crate) fn submit<'a>(
        &self,
        client: &'a Client,
        input: Bytes,
        line: Option<u64>,
    ) -> Submit<'a> {
        let mut submit = match &self.called {
            Called::Named(chain) => client.submit(chain, input),
            Called::Inline(steps) => client.submit_inline(steps, input),
        };
        if let Some(key) = &self.key {
            submit = submit.key(key);
        }
        if let Some(key) = self.idempotency_key(line) {
            submit = submit.idempotency_key(key);
        }
        if let Some(timeout) = self.timeout {
            submit = submit.timeout(timeout);
        }
        submit.after(Timestamp(self.after.unwrap_or(0)))
    }

    /// Why one job has the home that it has.
    pub(crate) fn because(&self) -> Because {
        match (&self.key, &self.idempotency_key) {
            (Some(key), _) => Because::Key(key.clone()),
            (None, Some(key)) => Because::Idempotency(key.clone()),
            (None, None) => Because::Open,
        }
    }

    /// How long to wait for a job that is on the queue.
    pub(crate) fn wait(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_millis(limit::DEADLINE_MS))
    }

    fn idempotency_key(&self, line: Option<u64>) -> Option<String> {
        let key = self.idempotency_key.clone()?;
        Some(line.map_or_else(|| key.clone(), |line| format!("{key}-{line}")))
    }
}
