//! Whether whoever lost gets its turn.

use super::{Broken, Job, Jobs};
use catena_protocol::JobId;

const TURN: &str = "5: whoever lost on a record is not beaten again by younger jobs";

impl Job {
    fn age(&self) -> (Option<u64>, JobId) {
        (self.id.submitted_ms(), self.id)
    }
}

impl Jobs {
    /// Looks who came before whom, where all jobs rewrite one record and nothing fails: from when
    /// a job was told that it lost, nobody younger does before it.
    pub(super) fn judge_turns(&self) -> Result<(), Broken> {
        if !self.take_turns {
            return Ok(());
        }
        let committed: Vec<(u64, &Job)> = self
            .attempts
            .iter()
            .filter_map(|attempt| Some((self.version(attempt)?, &self.jobs[attempt.job])))
            .collect();
        for (version, job) in &committed {
            let Some(lost) = job.lost else { continue };
            let mut between = committed.iter().filter(|(at, _)| (lost + 1..*version).contains(at));
            if let Some((at, other)) = between.find(|(_, other)| other.age() > job.age()) {
                let what = format!("{} is younger and commits at {at}, before {job:?}", other.id);
                return Err((TURN, what));
            }
        }
        Ok(())
    }
}
