//! Printing measurements: a table for people, a JSON object a line for programs.

use super::case::Case;
use super::drive::Measured;
use super::median::median;
use crate::cluster::Cluster;
use crate::failure::Failure;
use serde::Serialize;
use serde_json::json;

/// Floor and Catena, measured one after the other.
pub(crate) struct Round {
    pub(crate) floor: Measured,
    pub(crate) catena: Measured,
    /// Messages that the server received while Catena was measured.
    pub(crate) messages: u64,
}

/// Medians over the rounds of one case.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    floor_per_s: f64,
    catena_per_s: f64,
    ratio: f64,
    p50_us: u64,
    p99_us: u64,
    floor_p50_us: u64,
    floor_p99_us: u64,
    messages_per_op: f64,
}

impl Line {
    pub(crate) fn median(rounds: Vec<Round>) -> Self {
        let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure));
        let round = |figure: f64, digits: f64| (figure * digits).round() / digits;
        Self {
            floor_per_s: round(of(&|r| r.floor.per_s), 1.0),
            catena_per_s: round(of(&|r| r.catena.per_s), 1.0),
            ratio: round(of(&|r| r.catena.per_s / r.floor.per_s.max(1.0)), 1000.0),
            p50_us: of(&|r| r.catena.quantile_us(0.5) as f64) as u64,
            p99_us: of(&|r| r.catena.quantile_us(0.99) as f64) as u64,
            floor_p50_us: of(&|r| r.floor.quantile_us(0.5) as f64) as u64,
            floor_p99_us: of(&|r| r.floor.quantile_us(0.99) as f64) as u64,
            messages_per_op: round(
                of(&|r| r.messages as f64 / (r.catena.total.max(1) as f64)),
                100.0,
            ),
        }
    }
}

/// Where the lines go.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn begin(&self, cases: usize, cluster: &Cluster) -> Result<(), Failure> {
        eprintln!("{cases} cases; NATS at {}", cluster.settings().servers()?.join(","));
        if !self.json {
            crate::output::line(format!(
                "{:<13} {:>5} {:>7} {:>9} {:>11} {:>11} {:>6} {:>9} {:>9} {:>9} {:>9} {:>8}",
                "case",
                "steps",
                "payload",
                "in flight",
                "floor/s",
                "catena/s",
                "ratio",
                "floor p50",
                "p50 us",
                "floor p99",
                "p99 us",
                "msgs/op"
            ))?;
        }
        Ok(())
    }

    pub(crate) fn line(&mut self, case: &Case, line: &Line) -> Result<(), Failure> {
        if !self.json {
            crate::output::line(format!(
                "{:<13} {:>5} {:>7} {:>9} {:>11.0} {:>11.0} {:>6.2} {:>9} {:>9} {:>9} {:>9} {:>8.2}",
                case.kind.name(),
                case.steps,
                case.payload,
                case.in_flight,
                line.floor_per_s,
                line.catena_per_s,
                line.ratio,
                line.floor_p50_us,
                line.p50_us,
                line.floor_p99_us,
                line.p99_us,
                line.messages_per_op
            ))?;
            return Ok(());
        }
        let mut object = json!({
            "case": case.kind.name(),
            "steps": case.steps,
            "payload_bytes": case.payload,
            "in_flight": case.in_flight,
        });
        if let (Some(object), serde_json::Value::Object(more)) =
            (object.as_object_mut(), serde_json::to_value(line)?)
        {
            object.extend(more);
        }
        crate::output::line(object)?;
        Ok(())
    }
}

/// Messages that the server has received so far.
pub(crate) async fn messages(cluster: &mut Cluster) -> Result<u64, Failure> {
    match cluster.nats() {
        Some(server) => Ok(server.received().await?),
        None => Ok(0),
    }
}
