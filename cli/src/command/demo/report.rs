//! What the demo prints at its end.

use super::check::Check;
use super::load::Timings;
use super::spread::{Done, most_unequal};
use crate::failure::Failure;
use crate::output;
use indicatif::HumanCount;
use serde_json::{Value, json};

/// One example.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) about: String,
    /// Steps that its jobs must at least have taken.
    pub(super) steps: u64,
    pub(super) timings: Timings,
    pub(super) notes: Vec<String>,
    /// The first thing that went wrong, in the words of the platform.
    pub(super) trouble: Option<String>,
    pub(super) checks: Vec<Check>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) phases: Vec<Phase>,
    pub(super) spread: Done,
}

impl Report {
    /// Whether everything that was found is what was expected.
    pub(super) fn is_good(&self) -> bool {
        self.phases.iter().flat_map(|phase| &phase.checks).all(|check| check.ok)
    }

    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return output::line(self.as_json());
        }
        for phase in &self.phases {
            phase.print()?;
        }
        self.print_spread()?;
        let checks: Vec<_> = self.phases.iter().flat_map(|phase| &phase.checks).collect();
        match checks.iter().filter(|check| !check.ok).count() {
            0 => output::line(format_args!("all {} checks hold", checks.len())),
            bad => output::line(format_args!("{bad} of {} checks FAILED", checks.len())),
        }
    }

    fn print_spread(&self) -> Result<(), Failure> {
        let all = HumanCount(self.spread.values().sum());
        let each =
            self.spread.iter().map(|(worker, done)| format!("{worker} {}", HumanCount(*done)));
        let each = each.collect::<Vec<_>>().join(", ");
        let percent = most_unequal(&self.spread) * 100.0;
        output::line(format_args!("spread  {all} steps on {} workers", self.spread.len()))?;
        output::line(format_args!("        {each}"))?;
        output::line(format_args!("        at most {percent:.1} % from equal\n"))
    }

    fn as_json(&self) -> Value {
        json!({
            "ok": self.is_good(),
            "phases": self.phases.iter().map(Phase::as_json).collect::<Vec<_>>(),
            "spread": { "steps": self.spread, "max_deviation": most_unequal(&self.spread) },
        })
    }
}

impl Phase {
    fn print(&self) -> Result<(), Failure> {
        let timings = &self.timings;
        output::line(format_args!("{:<7} {}", self.name, self.about))?;
        output::line(format_args!(
            "        {} jobs in {:.1} s, {} at once: {} jobs/s, p50 {:.1} ms, p99 {:.1} ms",
            HumanCount(timings.jobs),
            timings.took.as_secs_f64(),
            timings.at_once,
            HumanCount(timings.per_second() as u64),
            timings.quantile_us(0.5) as f64 / 1000.0,
            timings.quantile_us(0.99) as f64 / 1000.0,
        ))?;
        for note in &self.notes {
            output::line(format_args!("        {note}"))?;
        }
        let rows: Vec<_> = self.checks.iter().map(row).collect();
        output::table(&rows)?;
        if let Some(trouble) = &self.trouble {
            output::line(format_args!("        first trouble: {trouble}"))?;
        }
        output::line("")
    }

    fn as_json(&self) -> Value {
        let timings = &self.timings;
        json!({
            "name": self.name, "jobs": timings.jobs, "seconds": timings.took.as_secs_f64(),
            "in_flight": timings.at_once, "jobs_per_s": timings.per_second(),
            "p50_us": timings.quantile_us(0.5), "p99_us": timings.quantile_us(0.99),
            "trouble": self.trouble, "checks": self.checks,
        })
    }
}

fn row(check: &Check) -> Vec<String> {
    let mark = if check.ok { "ok" } else { "FAILED" };
    vec![
        format!("        {mark}"),
        check.what.clone(),
        format!("expected {}", check.expected),
        format!("found {}", check.found),
    ]
}
