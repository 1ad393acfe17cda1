//! Known mistakes are put back, one at a time: each must be found, by the property that it breaks,
//! and what finds it must hold without it (`holds.rs`).
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_model::{Bounds, Bug, Property, Report, Scenario, commit};

/// A disk that is at once durable, digests that are lost: enough to find most of them.
fn small() -> Bounds {
    Bounds { gossip: false, prompt_disk: true, ..Bounds::default() }
}

fn explored(bug: Bug, property: Property, scenario: Scenario, bounds: &Bounds) -> Report {
    let bounds = Bounds { bug: Some(bug), properties: vec![property], ..bounds.clone() };
    let report = scenario.explore(&bounds).unwrap();
    let depth = report.counterexample.as_ref().map(|found| found.events.len());
    eprintln!("{bug:?} breaks {property:?}: {} states, after {depth:?} events", report.states);
    report
}

/// Looks for a bug, and that one event less would not do.
fn finds(bug: Bug, property: Property, scenario: Scenario, bounds: &Bounds, events: usize) {
    let report = explored(bug, property, scenario, bounds);
    let found = report.counterexample.unwrap();
    assert_eq!(found.broken.property, property);
    assert_eq!(found.events.len(), events, "{:#?}", found.events);
}

#[test]
fn a_vote_for_a_log_that_is_behind_loses_what_is_committed() {
    let bounds = Bounds { writes: 1, time_outs: [0, 1, 0], ..small() };
    let finds = |property, events| {
        finds(Bug::VoteForAnybody, property, Scenario::Led, &bounds, events);
    };
    finds(Property::NothingLost, 8);
    finds(Property::AcknowledgedStays, 8);
    finds(Property::EqualPrefixes, 10);
}

#[test]
fn a_vote_that_is_not_durable_is_given_twice() {
    let bounds = Bounds { time_outs: [1, 1, 0], crashes: [0, 0, 1], ..small() };
    finds(Bug::VoteNotDurable, Property::OnePrimary, Scenario::Founded, &bounds, 15);
}

#[test]
fn a_record_that_counts_before_it_is_durable_can_be_voted_away() {
    let bounds = Bounds { writes: 1, prompt_disk: false, ..small() };
    finds(Bug::AckBeforeSync, Property::NothingVotedAway, Scenario::Led, &bounds, 3);
    let bounds = Bounds { time_outs: [0, 1, 0], crashes: [0, 0, 1], ..bounds };
    finds(Bug::AckBeforeSync, Property::AcknowledgedStays, Scenario::Led, &bounds, 11);
}

#[test]
fn a_record_of_an_earlier_epoch_that_is_committed_by_counting_can_be_voted_away() {
    let bounds = Bounds { epochs: 3, time_outs: [3, 0, 0], prompt_disk: false, ..small() };
    finds(Bug::CommitOldEpochs, Property::NothingVotedAway, Scenario::Split, &bounds, 16);
}

#[test]
fn a_primary_that_forgets_the_ceiling_writes_into_the_past() {
    let bounds = Bounds { writes: 1, reads: 1, time_outs: [0, 1, 0], ..small() };
    finds(Bug::ForgetCeiling, Property::AboveCeilings, Scenario::Led, &bounds, 10);
    finds(Bug::ForgetCeiling, Property::AboveSnapshots, Scenario::Led, &bounds, 13);
}

#[test]
fn a_primary_that_serves_at_once_does_not_know_what_is_committed() {
    let bounds = Bounds { writes: 1, time_outs: [0, 1, 0], ..small() };
    finds(Bug::ServeAtOnce, Property::ServesAll, Scenario::Led, &bounds, 8);
}

/// Looks for a bug of commits over several partitions, in the same way.
fn breaks(bug: Bug, property: Property, bounds: &commit::Bounds, events: usize) {
    let bounds = commit::Bounds { bug: Some(bug), properties: vec![property], ..bounds.clone() };
    let report = commit::explore(&bounds).unwrap();
    let depth = report.counterexample.as_ref().map(|found| found.events.len());
    eprintln!("{bug:?} breaks {property:?}: {} states, after {depth:?} events", report.states);
    let found = report.counterexample.unwrap();
    assert_eq!(found.broken.property, property);
    assert_eq!(found.events.len(), events, "{:#?}", found.events);
}

fn prompt() -> commit::Bounds {
    commit::Bounds { prompt_disk: true, ..commit::Bounds::default() }
}

#[test]
fn a_home_that_forgets_what_not_all_have_heard_of_loses_half_a_job() {
    let bounds = commit::Bounds { beats: [1, 1], ..prompt() };
    breaks(Bug::SettleAtOnce, Property::NothingForgotten, &bounds, 3);
    breaks(Bug::SettleAtOnce, Property::AllOrNothing, &bounds, 3);
}

#[test]
fn a_home_that_says_no_while_it_decides_loses_half_a_job() {
    let bounds = commit::Bounds { beats: [0, 2], ..prompt() };
    breaks(Bug::AbortUndecided, Property::AllOrNothing, &bounds, 6);
}

#[test]
fn the_end_of_one_try_that_counts_for_the_next_loses_half_a_job() {
    let bounds = commit::Bounds { give_ups: 1, beats: [1, 0], ..prompt() };
    breaks(Bug::ResolveByJob, Property::AllOrNothing, &bounds, 5);
}

#[test]
fn an_intent_that_nobody_asks_about_stays() {
    let bounds = commit::Bounds { crashes: [1, 0], ..prompt() };
    breaks(Bug::NeverInquire, Property::NothingLeft, &bounds, 3);
}

#[test]
fn an_intent_that_is_not_durable_is_dropped() {
    let bounds = commit::Bounds { crashes: [0, 1], ..commit::Bounds::default() };
    breaks(Bug::ReadyTooEarly, Property::NothingDropped, &bounds, 3);
}
