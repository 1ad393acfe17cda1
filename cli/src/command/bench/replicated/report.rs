//! Printing what was measured: a table for people, a JSON object a line for programs.

use super::operation::Case;
use crate::command::bench::drive::Measured;
use crate::command::bench::median::median;
use crate::failure::Failure;
use serde_json::{Value, json};

/// All systems, measured one after the other.
pub(crate) struct Round {
    pub(crate) floor: Measured,
    pub(crate) plain: Measured,
    pub(crate) jetstream: Counted,
    pub(crate) catena: Counted,
    /// Syncs of the storage nodes while Catena was measured, if they count them.
    pub(crate) syncs: Option<u64>,
}

/// A measurement, and the messages that the servers received meanwhile, from clients and from each
/// other.
pub(crate) struct Counted {
    pub(crate) measured: Measured,
    pub(crate) messages: u64,
}

impl Counted {
    pub(crate) fn messages_per_op(&self) -> f64 {
        self.messages as f64 / self.measured.total.max(1) as f64
    }
}

/// What the figures are of.
pub(crate) struct Setting {
    /// Of JetStream and the floor.
    pub(crate) replicas: usize,
    /// Of Catena.
    pub(crate) storage_nodes: usize,
    pub(crate) case: Case,
}

impl Setting {
    /// A ratio to systems with another number of replicas would say nothing: there is none then.
    fn comparable(&self, ratio: f64) -> Option<f64> {
        (self.storage_nodes == self.replicas).then_some(ratio)
    }
}

/// Medians over the rounds of one case.
pub(crate) struct Line {
    floor: Rate,
    plain: Rate,
    jetstream: Rate,
    catena: Rate,
    of_jetstream: f64,
    of_floor: f64,
    jetstream_messages: f64,
    messages: f64,
    syncs: Option<f64>,
}

/// Of one system.
struct Rate {
    per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

impl Line {
    pub(crate) fn median(rounds: &[Round]) -> Self {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure));
        let rate = |system: &dyn Fn(&Round) -> &Measured| Rate {
            per_s: of(&|round| system(round).per_s),
            p50_us: of(&|round| system(round).quantile_us(0.5) as f64),
            p99_us: of(&|round| system(round).quantile_us(0.99) as f64),
        };
        let catena = |round: &Round| round.catena.measured.per_s;
        Self {
            floor: rate(&|round| &round.floor),
            plain: rate(&|round| &round.plain),
            jetstream: rate(&|round| &round.jetstream.measured),
            catena: rate(&|round| &round.catena.measured),
            of_jetstream: of(&|r| catena(r) / r.jetstream.measured.per_s.max(1.0)),
            of_floor: of(&|r| catena(r) / r.floor.per_s.max(1.0)),
            jetstream_messages: of(&|r| r.jetstream.messages_per_op()),
            messages: of(&|r| r.catena.messages_per_op()),
            syncs: syncs(rounds),
        }
    }
}

/// Syncs per operation; none where a round has no count.
fn syncs(rounds: &[Round]) -> Option<f64> {
    let each = rounds.iter().map(|round| {
        let total = round.catena.measured.total.max(1);
        round.syncs.map(|syncs| syncs as f64 / total as f64)
    });
    Some(median(each.collect::<Option<Vec<f64>>>()?))
}

/// Where the lines go.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Says what runs where, on standard error, and heads the table.
    pub(crate) fn begin(&self, nats_cluster: bool) -> Result<(), Failure> {
        let server = if nats_cluster { "the JetStream servers" } else { "one more nats-server" };
        eprintln!(
            "3 replicas: three nats-servers in a cluster with JetStream; storage nodes and the \
             floor use {server}. 1 replica: one nats-server for all. Every server (sync_interval: \
             always), storage node and replica of the floor is a process of its own; the clients \
             share this process: JetStream's has one connection to each server, the others one. \
             floor: operations of a turn share messages, as in Catena; plain: a message for each. \
             JetStream's reads are direct gets and may be behind, Catena's are linearizable. \
             Messages include those between clustered servers."
        );
        if self.json {
            return Ok(());
        }
        let names = ["floor/s", "plain/s", "js/s", "catena/s", "/js", "/floor"];
        let [floor, plain, js, catena, of_js, of_floor] = names;
        crate::output::line(format!(
            "{:>4} {:>5} {:<7} {:>7} {:>9} {floor:>9} {plain:>9} {js:>9} {catena:>9} {of_js:>6} \
             {of_floor:>6} {:>23} {:>23} {:>8} {:>8} {:>8}",
            "repl",
            "nodes",
            "op",
            "payload",
            "in flight",
            "p50 us floor,js,catena",
            "p99 us floor,js,catena",
            "js msgs",
            "msgs/op",
            "syncs/op"
        ))
    }

    pub(crate) fn line(&self, setting: &Setting, line: &Line) -> Result<(), Failure> {
        if self.json {
            return crate::output::line(object(setting, line));
        }
        let Setting { replicas, storage_nodes, case } = setting;
        let three = |[a, b, c]: [f64; 3]| format!("{a:.0},{b:.0},{c:.0}");
        let (floor, js, catena) = (&line.floor, &line.jetstream, &line.catena);
        crate::output::line(format!(
            "{replicas:>4} {storage_nodes:>5} {:<7} {:>7} {:>9} {:>9.0} {:>9.0} {:>9.0} {:>9.0} \
             {:>6} {:>6} \
             {:>23} {:>23} {:>8.2} {:>8.2} {:>8}",
            case.operation.name(),
            case.payload,
            case.in_flight,
            floor.per_s,
            line.plain.per_s,
            js.per_s,
            catena.per_s,
            figure(setting.comparable(line.of_jetstream), 2),
            figure(setting.comparable(line.of_floor), 2),
            three([floor.p50_us, js.p50_us, catena.p50_us]),
            three([floor.p99_us, js.p99_us, catena.p99_us]),
            line.jetstream_messages,
            line.messages,
            figure(line.syncs, 3),
        ))
    }
}

fn figure(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn object(setting: &Setting, line: &Line) -> Value {
    let round = |figure: f64, digits: f64| (figure * digits).round() / digits;
    let ratio = |figure| setting.comparable(figure).map(|figure| round(figure, 1000.0));
    let rate = |rate: &Rate| {
        json!({
            "per_s": rate.per_s.round(),
            "p50_us": rate.p50_us as u64,
            "p99_us": rate.p99_us as u64,
        })
    };
    json!({
        "case": "replicated",
        "operation": setting.case.operation.name(),
        "replicas": setting.replicas,
        "storage_nodes": setting.storage_nodes,
        "payload_bytes": setting.case.payload,
        "in_flight": setting.case.in_flight,
        "floor": rate(&line.floor),
        "plain_floor": rate(&line.plain),
        "jetstream": rate(&line.jetstream),
        "catena": rate(&line.catena),
        "ratio_to_jetstream": ratio(line.of_jetstream),
        "ratio_to_floor": ratio(line.of_floor),
        "jetstream_messages_per_op": round(line.jetstream_messages, 100.0),
        "messages_per_op": round(line.messages, 100.0),
        "syncs_per_op": line.syncs.map(|syncs| round(syncs, 10_000.0)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::command::bench::drive::histogram;
    use crate::command::bench::replicated::operation::Operation;
    use std::time::Duration;

    fn measured(operations: u64) -> Measured {
        let mut counted = histogram();
        counted.record_n(100, operations).unwrap();
        Measured::new(counted, operations, Duration::from_secs(1))
    }

    fn round(jetstream: u64, catena: u64, syncs: Option<u64>) -> Round {
        let counted = |operations| Counted { measured: measured(operations), messages: 300 };
        Round {
            floor: measured(400),
            plain: measured(200),
            jetstream: counted(jetstream),
            catena: counted(catena),
            syncs,
        }
    }

    #[test]
    fn ratios_are_of_rounds_and_medians_of_them() {
        let line = Line::median(&[
            round(100, 100, Some(10)),
            round(50, 200, Some(10)),
            round(100, 300, Some(10)),
        ]);
        assert_eq!(line.catena.per_s, 200.0);
        assert_eq!((line.of_jetstream, line.of_floor), (3.0, 0.5));
        assert_eq!((line.messages, line.jetstream_messages), (1.5, 3.0));
        assert_eq!(line.syncs, Some(0.05));
        assert_eq!(line.catena.p50_us, 100.0);
    }

    #[test]
    fn there_are_no_ratios_to_systems_with_other_replicas() {
        let time = Duration::from_secs(1);
        let case = Case { operation: Operation::Write, payload: 128, in_flight: 1, time };
        let line = Line::median(&[round(100, 300, None)]);
        let of = |storage_nodes| object(&Setting { replicas: 3, storage_nodes, case }, &line);
        assert_eq!(of(3)["ratio_to_jetstream"], 3.0);
        assert_eq!(of(1)["ratio_to_jetstream"], Value::Null);
        assert_eq!(of(1)["ratio_to_floor"], Value::Null);
    }

    #[test]
    fn syncs_that_nobody_counted_are_not_made_up() {
        let line = Line::median(&[round(1, 1, Some(3)), round(1, 1, None)]);
        assert_eq!(line.syncs, None);
    }
}
