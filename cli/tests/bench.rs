//! The cases of `catena bench` that run in many processes, once and briefly: every system is there
//! and does what it is measured at.

#![allow(clippy::unwrap_used, reason = "a test")]

use catena_testing::within;
use serde_json::Value;
use tokio::process::Command;

async fn bench(arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
    command.arg("bench").args(arguments).arg("--json").env_remove("NATS_URL").kill_on_drop(true);
    let output = within(120, "the end of the benchmark", command.output()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn replicated_measures_all_systems_side_by_side() {
    let few = ["--payload", "128", "--in-flight", "4", "--seconds", "0.1", "--rounds", "2"];
    let lines = bench(&[&["--case", "replicated"][..], &few].concat()).await;
    let measured: Vec<_> = lines
        .iter()
        .map(|line| (line["replicas"].as_u64().unwrap(), line["operation"].as_str().unwrap()))
        .collect();
    let operations = ["read", "write", "update"];
    let all: Vec<_> = [3, 1].iter().flat_map(|n| operations.map(|o| (*n, o))).collect();
    assert_eq!(measured, all);
    for line in &lines {
        for system in ["floor", "plain_floor", "jetstream", "catena"] {
            assert!(line[system]["per_s"].as_f64().unwrap() > 0.0, "{system}: {line}");
            assert!(line[system]["p99_us"].as_u64() >= line[system]["p50_us"].as_u64(), "{line}");
        }
        let same = line["storage_nodes"] == line["replicas"];
        assert_eq!(line["ratio_to_jetstream"].is_number(), same, "{line}");
        assert!(line["messages_per_op"].as_f64().unwrap() > 0.0, "{line}");
    }
    // Three servers tell each other what one keeps to itself.
    let messages = |line: &Value| line["jetstream_messages_per_op"].as_f64().unwrap();
    assert!(messages(&lines[1]) > messages(&lines[4]), "{lines:?}");
}

#[tokio::test]
async fn failover_says_how_long_each_kill_stopped_writes() {
    let lines = bench(&["--case", "failover", "--kills", "2"]).await;
    let [first, second, all] = lines.as_slice() else { panic!("{lines:?}") };
    let longest = |line: &Value| line["max_ms"].as_f64().unwrap();
    for kill in [first, second] {
        assert!(kill["partitions"].as_u64().unwrap() > 0, "{kill}");
        assert!(kill["median_ms"].as_f64().unwrap() > 0.0, "{kill}");
        assert!(longest(kill) >= kill["median_ms"].as_f64().unwrap(), "{kill}");
    }
    assert_eq!(all["kills"], 2);
    assert_eq!(longest(all), longest(first).max(longest(second)));
}

#[tokio::test]
async fn contention_shows_what_a_hot_key_costs() {
    let few = ["--in-flight", "1,2,8", "--payload", "128", "--seconds", "0.2"];
    let mut lines = bench(&[&["--case", "contention"][..], &few].concat()).await;
    let last = lines.pop().unwrap();
    assert!(last["ratio"].is_number(), "{last}");
    let measured: Vec<_> = lines
        .iter()
        .map(|line| (line["keys"].as_str().unwrap(), line["in_flight"].as_u64().unwrap()))
        .collect();
    let keys = ["zipf 0", "zipf 0.9", "zipf 1.2", "one key"];
    let all: Vec<_> = keys.iter().flat_map(|keys| [1, 2, 8].map(|n| (*keys, n))).collect();
    assert_eq!(measured, all);
    for line in &lines {
        assert!(line["p99_us"].as_u64() >= line["p50_us"].as_u64(), "{line}");
        assert!(line["attempts"].as_f64().unwrap() >= 1.0, "{line}");
        assert!(line["most_attempts"].as_u64().unwrap() >= 1, "{line}");
    }
    // Eight that want one key can not all be first.
    let attempts = |line: &Value| line["attempts"].as_f64().unwrap();
    assert!(attempts(&lines[11]) > attempts(&lines[9]), "{lines:?}");
}

#[tokio::test]
async fn by_hand_measures_the_same_chain_twice() {
    let few = ["--in-flight", "4", "--payload", "128", "--seconds", "0.2"];
    let lines = bench(&[&["--case", "by-hand"][..], &few].concat()).await;
    let measured: Vec<_> = lines
        .iter()
        .map(|line| (line["replicas"].as_u64().unwrap(), line["where"].as_str().unwrap()))
        .collect();
    assert_eq!(measured, [(3, "home"), (3, "two"), (1, "home"), (1, "two")]);
    for line in &lines {
        for system in ["by_hand", "catena"] {
            assert!(line[system]["p99_us"].as_u64() >= line[system]["p50_us"].as_u64(), "{line}");
            assert!(line[system]["messages_per_op"].as_f64().unwrap() > 0.0, "{line}");
        }
        assert!(line["syncs_per_op"].as_f64().unwrap() > 0.0, "{line}");
    }
    let rounds = |line: &Value| line["rounds_per_commit"].as_f64().unwrap();
    assert_eq!([rounds(&lines[0]), rounds(&lines[2]), rounds(&lines[3])], [0.0, 0.0, 0.0]);
    assert!((1.0..=2.0).contains(&rounds(&lines[1])), "{}", lines[1]);
}
