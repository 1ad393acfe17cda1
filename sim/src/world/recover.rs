//! The end of a run: when enough was done everything heals, and must make progress.

use super::World;
use super::asks::ANSWERED;
use crate::client::{Client, Purpose};
use crate::clock::right;
use crate::fault::FaultKind;
use crate::tally::Tally;

/// How much longer jobs may take to end than everything else, in microseconds.
const JOBS_US: u64 = 30_000_000;

/// A run that is to have more jobs and operations than this has at least so many of each, if it
/// takes no more than so many times as long as planned.
const ENOUGH: u64 = 500;
const LONGEST: u64 = 4;

impl World {
    /// Faults go on for their time, and until enough was done in spite of them.
    pub(super) fn go_on(&mut self) {
        let mut end = self.plan.faults_us;
        self.go_until(end);
        let most = end * LONGEST;
        let lacks = |what, wanted: u64, tally: &Tally| tally.of(what) < wanted.min(ENOUGH);
        while self.failure.is_none()
            && end < most
            && (lacks("jobs", self.plan.jobs, &self.tally)
                || lacks("operations", self.plan.operations, &self.tally))
        {
            end += 1_000_000;
            self.go_until(end);
        }
    }

    pub(super) fn heal(&mut self) {
        self.note(|| "everything heals".to_owned());
        self.healed = true;
        self.broker.healed = true;
        for host in 0..self.hosts.len() {
            self.hosts[host].clock.offset_us = 0;
            for kind in FaultKind::ALL {
                self.end(kind, host);
            }
            self.start(host);
        }
        self.heal_platform();
    }

    /// Everything must make progress: every partition is led, every operation ends, every replica
    /// catches up.
    pub(super) fn recover(&mut self) {
        let begin = self.at_us;
        let end = begin + self.plan.heal_us;
        self.go_until(begin + self.plan.heal_us * 3 / 4);
        self.let_jobs_end();
        let end = end.max(self.at_us + self.plan.heal_us / 4);
        for number in 0..self.plan.load.keys {
            let key = format!("key-{number}");
            let now = right(self.at_us);
            let partitions = self.plan.partitions;
            let mut effects = Vec::new();
            let purpose = Purpose::Final(key.clone());
            self.clients[0].ask(now, partitions, (&key, Client::look(&key)), purpose, &mut effects);
            self.client_effects(0, effects);
        }
        self.ask_about_jobs();
        self.go_until(end);
        if self.failure.is_none() {
            self.check_recovered();
        }
    }

    /// Jobs have until their deadlines, and what is lost of the queue comes again.
    fn let_jobs_end(&mut self) {
        let most = self.at_us + JOBS_US;
        while self.failure.is_none() && self.at_us < most && self.platform_has_recovered().is_err()
        {
            self.go_until(self.at_us + 1_000_000);
        }
    }

    pub(super) fn check_recovered(&mut self) {
        if let Some(client) = self.clients.iter().find(|client| !client.open.is_empty()) {
            let what = format!("client {} still waits: {:?}", client.id, client.open);
            return self.fail(ANSWERED, what);
        }
        if let Err(what) = self.platform_has_recovered() {
            return self.fail("everything recovers", what);
        }
        for number in 0..self.plan.partitions {
            if let Err(what) = self.has_recovered(number) {
                return self.fail("everything recovers", format!("partition {number}: {what}"));
            }
        }
    }

    fn has_recovered(&self, number: u16) -> Result<(), String> {
        let processes = self.hosts.iter().filter_map(|host| host.process.as_ref());
        let views: Vec<_> = processes
            .filter_map(|process| process.machine.views().find(|v| v.partition == number))
            .collect();
        let serving = views.iter().filter(|view| view.serves).count();
        if serving != 1 {
            return Err(format!("{serving} primaries: {views:?}"));
        }
        let commits: Vec<u64> = views.iter().map(|view| view.commit).collect();
        let (least, most) = (commits.iter().min(), commits.iter().max());
        // What was written just now may still be on its way.
        if least.zip(most).is_some_and(|(least, most)| least + 3 < *most) {
            return Err(format!("commits {commits:?}"));
        }
        let open: usize = views.iter().filter(|view| view.serves).map(|view| view.open_txns).sum();
        if open > 0 {
            return Err(format!("{open} transactions are still open: {views:?}"));
        }
        let voters = views.iter().map(|view| view.voters.len()).min().unwrap_or(0);
        if voters != self.hosts.len().min(self.plan.replicas) {
            return Err(format!("{voters} voters: {views:?}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn recovered(prepare: impl FnOnce(&mut World)) -> Option<&'static str> {
        let mut world = World::new(Plan::of(1), false);
        world.begin();
        world.heal();
        world.go_until(5_000_000);
        world.clients.iter_mut().for_each(|client| client.open.clear());
        prepare(&mut world);
        world.check_recovered();
        world.failure.map(|failure| failure.rule)
    }

    #[test]
    fn whoever_does_not_recover_is_seen() {
        assert_eq!(recovered(|_| {}), None);
        let waits = |world: &mut World| {
            world.clients[0].open.insert(1, (Purpose::Final("a".to_owned()), 0));
        };
        assert_eq!(recovered(waits), Some(ANSWERED));
        let gone = |world: &mut World| world.hosts.iter_mut().for_each(|host| host.process = None);
        assert_eq!(recovered(gone), Some("everything recovers"));
    }
}
