//! What is known about a job.

use crate::machine::submit::Known;
use catena_protocol::{Fault, JobId};
use serde::{Deserialize, Deserializer, Serialize};

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Which chain it runs.
    #[serde(default)]
    pub chain: Option<String>,
    /// Its commit timestamp, once it has an outcome.
    #[serde(default)]
    pub version: Option<u64>,
    /// Attempts so far, while it runs.
    #[serde(default)]
    pub attempts: Option<u32>,
    /// Why it ended without a result.
    #[serde(default)]
    pub error: Option<Fault>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum JobState {
    /// It waits in the durable queue.
    Queued,
    /// It is being run.
    Running,
    /// It has a result, and its writes are visible.
    Committed,
    /// It failed and had no effect.
    Failed,
    /// It was cancelled and had no effect.
    Cancelled,
    /// All its attempts failed; it had no effect and is kept.
    Dead,
}

impl JobState {
    /// Whether nothing will change any more.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Words that a later version may add for a job under way are read as `running`.
impl<'de> Deserialize<'de> for JobState {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Ok(match text.as_str() {
            "queued" => Self::Queued,
            "committed" => Self::Committed,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            "dead" => Self::Dead,
            _ => Self::Running,
        })
    }
}

pub(crate) const fn known(state: JobState) -> Known {
    if state.is_final() { Known::Ended } else { Known::Running }
}
