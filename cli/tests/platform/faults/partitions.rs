//! Jobs over partitions of several nodes, as a user sees them.

use crate::support::Trio;
use catena_protocol::limit::PARTITIONS;
use catena_protocol::partition;
use serde_json::Value;
use std::collections::BTreeMap;

/// Runs a chain that writes these keys; what the job took.
async fn explained(trio: &Trio, keys: &[&str], routing: &str) -> Value {
    let put = |key: &&str| format!(r#"{{"operator":"put","settings":{{"key":"{key}"}}}}"#);
    let chain = format!("[{}]", keys.iter().map(put).collect::<Vec<_>>().join(","));
    let run = ["run", "--inline", &chain, "x", "--key", routing, "--explain", "--json"];
    let said = trio.catena(&run).await;
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{error}");
    let mut json: Value = serde_json::from_slice(&said.stdout).unwrap();
    for key in keys {
        let read = trio.platform.read(key).await;
        assert_eq!(Some(read.version()), json["version"].as_u64(), "{key}");
    }
    json["explain"].take()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_told_which_partitions_it_touched_and_what_that_cost() {
    let trio = Trio::start().await;
    let leaders: BTreeMap<u16, String> = trio.leaders().await;
    assert_eq!(leaders.len(), usize::from(PARTITIONS));
    let keys: Vec<String> = (0..400).map(|n| format!("k{n}")).collect();
    let at = |key: &str| partition(key, PARTITIONS);
    let led = |key: &str| &leaders[&at(key)];
    let home = keys[0].as_str();
    let near = keys.iter().find(|key| at(key) != at(home) && led(key) == led(home)).unwrap();
    let far = keys.iter().find(|key| led(key) != led(home)).unwrap();
    let read_back = |explain: &Value| -> BTreeMap<u16, (String, u64)> {
        let all = explain["partitions"].as_array().unwrap().iter();
        let part = |part: &Value| {
            let node = part["node"].as_str().unwrap().to_owned();
            let number = part["partition"].as_u64().unwrap();
            (number as u16, (node, part["writes"].as_u64().unwrap()))
        };
        all.map(part).collect()
    };
    let wrote = |key: &str, writes| (at(key), (led(key).clone(), writes));

    let alone = explained(&trio, &[home], home).await;
    assert_eq!((&alone["rounds"], &alone["messages"]["prepare"]), (&0.into(), &0.into()));
    assert_eq!(read_back(&alone), [wrote(home, 1)].into());

    // Another partition of the same node: asked, without a message.
    let beside = explained(&trio, &[home, near], home).await;
    assert!(beside["rounds"].as_u64() >= Some(1), "{beside}");
    assert_eq!(beside["messages"]["prepare"], 0, "{beside}");
    assert_eq!(read_back(&beside), [wrote(home, 1), wrote(near, 1)].into());

    // On another node: a question and an answer for each round.
    let apart = explained(&trio, &[home, far], home).await;
    let rounds = apart["rounds"].as_u64().unwrap();
    assert!(rounds >= 1 && apart["messages"]["prepare"].as_u64() >= Some(2 * rounds), "{apart}");
    assert_eq!(read_back(&apart), [wrote(home, 1), wrote(far, 1)].into());

    // A home that nothing is written in.
    let elsewhere = explained(&trio, &[far], home).await;
    assert!(elsewhere["rounds"].as_u64() >= Some(1), "{elsewhere}");
    assert_eq!(read_back(&elsewhere), [wrote(home, 0), wrote(far, 1)].into());
    trio.stop().await;
}
