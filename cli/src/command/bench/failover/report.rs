//! Printing failovers: a line for each kill, and the sum of them.

use super::How;
use crate::command::bench::median::median;
use crate::failure::Failure;
use serde_json::json;
use std::time::Duration;

/// One kill.
pub(crate) struct Kill {
    pub(crate) node: String,
    /// Of each partition that the node led.
    pub(crate) gaps: Vec<Duration>,
    /// Writes that ended with an error until all was well again.
    pub(crate) failed: u64,
}

impl How {
    const fn said(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Paused => "paused",
        }
    }
}

impl Kill {
    fn median_ms(&self) -> f64 {
        median(self.gaps.iter().map(ms))
    }

    /// The failover time of the kill: that of the partition that waited longest.
    fn most_ms(&self) -> f64 {
        self.gaps.iter().map(ms).fold(0.0, f64::max)
    }
}

fn ms(gap: &Duration) -> f64 {
    (gap.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Prints what became of it.
pub(crate) fn kill(number: usize, how: How, kill: &Kill, json: bool) -> Result<(), Failure> {
    let (node, partitions) = (&kill.node, kill.gaps.len());
    let (median, most, failed) = (kill.median_ms(), kill.most_ms(), kill.failed);
    if json {
        return crate::output::line(json!({
            "case": "failover",
            "how": how.said(),
            "kill": number,
            "node": node,
            "partitions": partitions,
            "median_ms": median,
            "max_ms": most,
            "failed_writes": failed,
        }));
    }
    crate::output::line(format!(
        "{number:>3}: {node}, {}, led {partitions:>3} partitions; without writes: median \
         {median:>7.1} ms, longest {most:>7.1} ms; {failed} writes failed",
        how.said()
    ))
}

/// Failover times over all kills, in milliseconds.
#[derive(Debug, PartialEq)]
struct Times {
    /// Of the longest gap of each kill.
    median: f64,
    max: f64,
    /// Of all gaps of all partitions.
    partition_median: f64,
}

impl Times {
    fn of(kills: &[Kill]) -> Self {
        let most = || kills.iter().map(Kill::most_ms);
        Self {
            median: median(most()),
            max: most().fold(0.0, f64::max),
            partition_median: median(kills.iter().flat_map(|kill| kill.gaps.iter().map(ms))),
        }
    }
}

/// Prints the sum.
pub(crate) fn all(kills: &[Kill], how: How, nodes: usize, json: bool) -> Result<(), Failure> {
    let count = kills.len();
    let Times { median, max, partition_median } = Times::of(kills);
    if json {
        return crate::output::line(json!({
            "case": "failover",
            "how": how.said(),
            "storage_nodes": nodes,
            "kills": count,
            "median_ms": median,
            "max_ms": max,
            "partition_median_ms": partition_median,
        }));
    }
    crate::output::line(format!(
        "{count} times one of {nodes} storage nodes was {}: failover median {median:.1} ms, maximum \
         {max:.1} ms; of single partitions median {partition_median:.1} ms",
        how.said()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kill(gaps: &[u64]) -> Kill {
        let gaps = gaps.iter().map(|gap| Duration::from_millis(*gap)).collect();
        Kill { node: "storage-1".to_owned(), gaps, failed: 0 }
    }

    #[test]
    fn the_slowest_partition_counts_and_the_median_is_over_kills() {
        let kills = [kill(&[100, 900]), kill(&[200, 300]), kill(&[100, 100, 1_000])];
        let times = Times::of(&kills);
        assert_eq!(times, Times { median: 900.0, max: 1_000.0, partition_median: 200.0 });
    }
}
