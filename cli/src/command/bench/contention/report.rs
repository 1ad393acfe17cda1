//! Printing what was measured: a table for people, a JSON object a line for programs.

use super::keys::Skew;
use crate::command::bench::drive::Measured;
use crate::command::bench::median::median;
use crate::failure::Failure;
use serde_json::json;

/// One measurement.
pub(super) struct Round {
    pub(super) measured: Measured,
    /// Attempts of a job, in the mean and at most.
    pub(super) attempts: (f64, u32),
}

/// Where the lines go.
pub(super) struct Report {
    json: bool,
    /// Jobs per second on the one key, by how many were in flight.
    one_key: Vec<(usize, f64)>,
}

impl Report {
    pub(super) fn begin(json: bool, storage_nodes: usize) -> Result<Self, Failure> {
        eprintln!(
            "{storage_nodes} storage nodes, each a process; one nats-server; scheduler, workers \
             and client share this process. Each job reads one of 1,000 records and rewrites it, \
             as its home; who finds that another was faster runs again. attempts: of a job, in \
             the mean and at most."
        );
        if !json {
            crate::output::line(format!(
                "{:<9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
                "keys", "in flight", "jobs/s", "p50 us", "p99 us", "attempts", "most"
            ))?;
        }
        Ok(Self { json, one_key: Vec::new() })
    }

    pub(super) fn line(
        &mut self,
        skew: Skew,
        in_flight: usize,
        rounds: &[Round],
    ) -> Result<(), Failure> {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure));
        let per_s = of(&|round| round.measured.per_s);
        let [p50, p99] =
            [0.5, 0.99].map(|q| of(&|round| round.measured.quantile_us(q) as f64) as u64);
        let mean = of(&|round| round.attempts.0);
        let most = rounds.iter().map(|round| round.attempts.1).max().unwrap_or(0);
        if skew == Skew::OneKey {
            self.one_key.push((in_flight, per_s));
        }
        if self.json {
            return crate::output::line(json!({
                "case": "contention",
                "keys": skew.name(),
                "in_flight": in_flight,
                "per_s": per_s.round(),
                "p50_us": p50,
                "p99_us": p99,
                "attempts": (mean * 100.0).round() / 100.0,
                "most_attempts": most,
            }));
        }
        crate::output::line(format!(
            "{:<9} {in_flight:>9} {per_s:>9.0} {p50:>9} {p99:>9} {mean:>9.2} {most:>6}",
            skew.name()
        ))
    }

    /// How much is left on the one key where most are in flight.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let Some((few, many, ratio)) = ratio(&self.one_key) else { return Ok(()) };
        if self.json {
            return crate::output::line(json!({
                "case": "contention",
                "keys": "one key",
                "ratio": (ratio * 1000.0).round() / 1000.0,
                "of": [many, few],
            }));
        }
        crate::output::line(format!("one key: {many} in flight / {few} in flight = {ratio:.2}"))
    }
}

/// What most in flight get done, as part of what 16 do, or else the fewest above 1.
fn ratio(one_key: &[(usize, f64)]) -> Option<(usize, usize, f64)> {
    let sixteen = one_key.iter().find(|(in_flight, _)| *in_flight == 16);
    let several = || one_key.iter().filter(|(in_flight, _)| *in_flight > 1).min_by_key(|one| one.0);
    let (few, base) = sixteen.or_else(several)?;
    let (many, most) = one_key.iter().max_by_key(|one| one.0)?;
    (many > few).then(|| (*few, *many, most / base.max(f64::MIN_POSITIVE)))
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn most_are_compared_with_sixteen() {
        let all = [(1, 10.0), (16, 100.0), (64, 90.0), (256, 75.0)];
        assert_eq!(ratio(&all), Some((16, 256, 0.75)));
        assert_eq!(ratio(&[(1, 10.0), (4, 100.0), (64, 50.0)]), Some((4, 64, 0.5)));
        assert_eq!(ratio(&all[..2]), None);
        assert_eq!(ratio(&[]), None);
    }
}
