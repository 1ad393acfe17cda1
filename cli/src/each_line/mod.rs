//! A job for each line of standard input, many at once.
//!
//! Promise: no more than so many jobs at once and so many results held back; results come in the
//! order of the lines if that is wanted; one that is ready is not held back by input that is slow
//! to come; a line end is never part of an input.

mod lines;
mod order;

use crate::failure::Failure;
use crate::progress::Progress;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use order::Order;
use std::collections::VecDeque;
use std::io::{BufWriter, Write};
use std::process::ExitCode;

/// Results that may wait for an earlier one, for each job at once.
const HELD: usize = 4;
/// Reasons that are shown; further ones are only counted.
const REASONS: u64 = 20;

/// How it is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// What the progress display calls it.
    pub(crate) what: &'static str,
    /// Most jobs at once.
    pub(crate) concurrency: usize,
    /// Whether results come in the order of the lines.
    pub(crate) ordered: bool,
}

/// What is written for one line.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// To standard output; nothing: nothing at all, not even a line end.
    pub(crate) output: Option<Vec<u8>>,
    /// Why it failed, if it did.
    pub(crate) trouble: Option<String>,
}

struct Run<W: Write> {
    order: Order<Shown>,
    output: W,
    progress: Progress,
    failed: u64,
}

/// Makes a job of each line (numbered from 1) and writes what is shown of it.
///
/// # Errors
/// If standard input or output breaks. Jobs that fail are no error; they make the exit code 1.
pub(crate) async fn each_line<F, R>(plan: Plan, job: F) -> Result<ExitCode, Failure>
where
    F: Fn(u64, Bytes) -> R,
    R: Future<Output = Shown>,
{
    let total = lines::count();
    let mut source = lines::read();
    let mut run = Run {
        order: Order::new(plan.ordered, plan.concurrency.saturating_mul(HELD)),
        output: BufWriter::with_capacity(1 << 16, std::io::stdout()),
        progress: Progress::new(plan.what, total),
        failed: 0,
    };
    let mut waiting = VecDeque::new();
    let mut open = FuturesUnordered::new();
    let (mut number, mut more) = (0_u64, true);
    while more || !waiting.is_empty() || !open.is_empty() {
        while open.len() < plan.concurrency && run.order.has_room(open.len()) {
            let Some(line) = waiting.pop_front() else { break };
            number += 1;
            let at = number;
            open.push(job(at, line).map(move |shown| (at, shown)));
        }
        tokio::select! {
            lines = source.recv(), if more && waiting.is_empty() => match lines {
                Some(lines) => waiting.extend(lines?),
                None => more = false,
            },
            Some(first) = open.next(), if !open.is_empty() => {
                run.take(first)?;
                while let Some(Some(next)) = open.next().now_or_never() {
                    run.take(next)?;
                }
                run.output.flush()?;
            }
            else => break,
        }
    }
    Ok(run.end(plan.what))
}

impl<W: Write> Run<W> {
    fn take(&mut self, (number, shown): (u64, Shown)) -> Result<(), Failure> {
        self.progress.add(1);
        self.order.put(number, shown);
        while let Some((number, shown)) = self.order.next() {
            if let Some(trouble) = shown.trouble {
                self.report(number, &trouble);
            }
            if let Some(mut output) = shown.output {
                output.push(b'\n');
                self.output.write_all(&output)?;
            }
        }
        Ok(())
    }

    fn report(&mut self, number: u64, trouble: &str) {
        self.failed += 1;
        if self.failed <= REASONS {
            self.progress.say(format_args!("line {number}: {trouble}"));
        } else if self.failed == REASONS + 1 {
            self.progress.say("further failures are only counted");
        }
    }

    fn end(self, what: &str) -> ExitCode {
        self.progress.clear();
        let (done, took) = (self.progress.done(), self.progress.elapsed());
        let rate = done as f64 / took.as_secs_f64().max(1e-9);
        let failed = self.failed;
        eprintln!("{done} {what} in {:.1} s ({rate:.0}/s), {failed} failed", took.as_secs_f64());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
