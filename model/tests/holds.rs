#![allow(clippy::unwrap_used, reason = "a test")]
use catena_model::*;
use std::time::Instant;

fn run(name: &str, scenario: Scenario, bounds: Bounds) -> Report {
    let start = Instant::now();
    let report = explore(scenario, &bounds).unwrap();
    eprintln!("{name}: {} states, {} events, depth {}, complete {}, {:?}", report.states, report.events, report.depth, report.complete, start.elapsed());
    if let Some(c) = &report.counterexample { eprintln!("{:?}", c.broken); for e in &c.events { eprintln!("   {e}"); } }
    report
}

#[test]
fn sizes() {
    let n = 1_000_000;
    let b = Bounds { states: n, gossip: false, ..Bounds::default() };
    let p = Bounds { prompt_disk: true, ..b.clone() };
    run("founded 1 timeout", Scenario::Founded, Bounds { time_outs: [1, 0, 0], ..b.clone() });
    run("prompt founded 1 timeout", Scenario::Founded, Bounds { time_outs: [1, 0, 0], ..p.clone() });
    run("prompt led w1 t1", Scenario::Led, Bounds { writes: 1, time_outs: [0, 1, 0], ..p.clone() });
    run("prompt founded 1,1", Scenario::Founded, Bounds { time_outs: [1, 1, 0], ..p.clone() });
    run("led w1 t1", Scenario::Led, Bounds { writes: 1, time_outs: [0, 1, 0], ..b.clone() });
}
