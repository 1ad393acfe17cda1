//! What the clients saw, judged at the end.

use super::{Run, World};
use catena_history::{
    FinalRead, Limits, Recorder, Verdict, check, check_snapshots, lost_acknowledged,
};

/// What a judgement may cost that was not decided with less: minutes, and a gigabyte.
const PATIENT: Limits = Limits { states: 25_000_000 };

impl World {
    pub(super) fn judge(mut self) -> Run {
        let recorder = std::mem::replace(&mut self.recorder, Recorder::new(0));
        let history = recorder.finish();
        if self.failure.is_none() {
            let limits = Limits::default();
            let verdict = match check(&history, limits) {
                Verdict::Undecided { .. } => check(&history, PATIENT),
                decided => decided,
            };
            match verdict {
                Verdict::Linearizable => {}
                Verdict::Violation(violation) => {
                    self.fail("6: operations on one key are linearizable", violation.to_string());
                }
                Verdict::Undecided { .. } => self.tally.count("histories undecided"),
            }
            let finals: Vec<FinalRead> = self.finals.values().cloned().collect();
            if let Verdict::Violation(violation) = lost_acknowledged(&history, &finals, limits) {
                self.fail("6: nothing acknowledged is missing at the end", violation.to_string());
            }
            if let Err((rule, what)) = self.jobs.judge() {
                self.fail(rule, what);
            }
            if let Err(violation) = check_snapshots(&history, &self.snapshots) {
                self.fail("3: reads at a snapshot stand for good", violation.to_string());
            }
        }
        let Self { tally, failure, trace, at_us, .. } = self;
        Run { tally, failure, trace: trace.unwrap_or_default(), history, simulated_us: at_us }
    }
}
