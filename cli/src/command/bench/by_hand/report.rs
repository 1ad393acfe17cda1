//! Printing what was measured: a table for people, a JSON object a line for programs.

use super::{Case, Counted, Place};
use crate::command::bench::drive::Measured;
use crate::command::bench::median::median;
use crate::failure::Failure;
use serde_json::json;

/// Both systems, measured one after the other.
pub(super) struct Round {
    pub(super) hand: Counted,
    pub(super) catena: Counted,
    /// Syncs of the storage nodes while Catena was measured, if they count them.
    pub(super) syncs: Option<u64>,
    /// Of a commit, in the mean.
    pub(super) commit_rounds: f64,
}

/// What the figures are of.
pub(super) struct Setting {
    pub(super) replicas: usize,
    pub(super) case: Case,
}

/// Medians over the rounds of one case.
pub(super) struct Line {
    hand: Rate,
    catena: Rate,
    ratio: f64,
    commit_rounds: f64,
    syncs: Option<f64>,
}

/// Of one system.
struct Rate {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
    messages: f64,
}

impl Line {
    pub(super) fn median(rounds: &[Round]) -> Self {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure));
        let rate = |system: &dyn Fn(&Round) -> &Counted| Rate {
            per_s: of(&|round| system(round).measured.per_s),
            p50_us: of(&|round| system(round).measured.quantile_us(0.5) as f64),
            p99_us: of(&|round| system(round).measured.quantile_us(0.99) as f64),
            messages: of(&|round| system(round).messages_per_op()),
        };
        let per_s = |measured: &Measured| measured.per_s;
        let syncs = rounds.iter().map(|round| {
            let total = round.catena.measured.total.max(1);
            round.syncs.map(|syncs| syncs as f64 / total as f64)
        });
        Self {
            hand: rate(&|round| &round.hand),
            catena: rate(&|round| &round.catena),
            ratio: of(&|r| per_s(&r.catena.measured) / per_s(&r.hand.measured).max(1.0)),
            commit_rounds: of(&|round| round.commit_rounds),
            syncs: syncs.collect::<Option<Vec<f64>>>().map(median),
        }
    }
}

/// Where the lines go.
pub(super) struct Report {
    json: bool,
}

impl Report {
    /// Says what runs where, on standard error, and heads the table.
    pub(super) fn begin(json: bool) -> Result<Self, Failure> {
        eprintln!(
            "A chain of three steps reads a record and writes one: the same at its home, or one in \
             another partition (two). catena: storage nodes, each a process; one nats-server. by \
             hand: three services, each with a connection of its own, over as many nats-servers as \
             there are replicas, with a KV bucket on all of them (sync_interval: always); it gives \
             no atomicity. Services, workers and clients share this process. Messages include \
             those between clustered servers; rounds are how often a commit asks all partitions, as \
             its home counts it."
        );
        if !json {
            crate::output::line(format!(
                "{:>4} {:<5} {:>7} {:>9} {:>9} {:>9} {:>6} {:>18} {:>18} {:>10} {:>8} {:>8} {:>7}",
                "repl",
                "where",
                "payload",
                "in flight",
                "hand/s",
                "catena/s",
                "ratio",
                "p50 us hand,catena",
                "p99 us hand,catena",
                "hand msgs",
                "msgs/op",
                "syncs/op",
                "rounds"
            ))?;
        }
        Ok(Self { json })
    }

    pub(super) fn line(&self, setting: &Setting, line: &Line) -> Result<(), Failure> {
        let Setting { replicas, case } = setting;
        let place = match case.place {
            Place::Home => "home",
            Place::Two => "two",
        };
        let (hand, catena) = (&line.hand, &line.catena);
        if self.json {
            let round = |figure: f64, digits: f64| (figure * digits).round() / digits;
            let rate = |rate: &Rate| {
                json!({
                    "per_s": rate.per_s.round(),
                    "p50_us": rate.p50_us as u64,
                    "p99_us": rate.p99_us as u64,
                    "messages_per_op": round(rate.messages, 100.0),
                })
            };
            return crate::output::line(json!({
                "case": "by-hand",
                "replicas": replicas,
                "where": place,
                "payload_bytes": case.payload,
                "in_flight": case.in_flight,
                "by_hand": rate(hand),
                "catena": rate(catena),
                "ratio": round(line.ratio, 1000.0),
                "syncs_per_op": line.syncs.map(|syncs| round(syncs, 10_000.0)),
                "rounds_per_commit": round(line.commit_rounds, 100.0),
            }));
        }
        let two = |hand: f64, catena: f64| format!("{hand:.0},{catena:.0}");
        crate::output::line(format!(
            "{replicas:>4} {place:<5} {:>7} {:>9} {:>9.0} {:>9.0} {:>6.2} {:>18} {:>18} {:>10.2} \
             {:>8.2} {:>8} {:>7.2}",
            case.payload,
            case.in_flight,
            hand.per_s,
            catena.per_s,
            line.ratio,
            two(hand.p50_us, catena.p50_us),
            two(hand.p99_us, catena.p99_us),
            hand.messages,
            catena.messages,
            line.syncs.map_or_else(|| "-".to_owned(), |syncs| format!("{syncs:.3}")),
            line.commit_rounds,
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::command::bench::drive::histogram;
    use std::time::Duration;

    fn round(hand: u64, catena: u64, syncs: Option<u64>) -> Round {
        let counted = |operations| {
            let mut latency = histogram();
            latency.record_n(100, operations).unwrap();
            let measured = Measured::new(latency, operations, Duration::from_secs(1));
            Counted { measured, messages: 600 }
        };
        Round { hand: counted(hand), catena: counted(catena), syncs, commit_rounds: 1.5 }
    }

    #[test]
    fn ratios_are_of_rounds_and_what_nobody_counted_is_not_made_up() {
        let rounds = [round(100, 300, Some(30)), round(100, 200, Some(20)), round(50, 50, Some(5))];
        let line = Line::median(&rounds);
        assert_eq!((line.ratio, line.catena.per_s, line.hand.messages), (2.0, 200.0, 6.0));
        assert_eq!((line.syncs, line.commit_rounds), (Some(0.1), 1.5));
        assert_eq!(Line::median(&[round(1, 1, Some(1)), round(1, 1, None)]).syncs, None);
    }
}
