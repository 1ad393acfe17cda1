//! Jobs over partitions of several nodes, as a user sees them.

use crate::support::{Trio, eventually};
use catena_protocol::limit::PARTITIONS;
use catena_protocol::partition;
use serde_json::Value;
use std::collections::BTreeMap;

/// The node that leads each partition.
type Leaders = BTreeMap<u16, String>;

fn at(key: &str) -> u16 {
    partition(key, PARTITIONS)
}

/// Runs a chain that writes these keys; what the job took. None where that is not known, as its
/// answer was late and an earlier attempt had committed.
async fn explained(trio: &Trio, keys: &[String], routing: &str) -> Option<Value> {
    let put = |key: &String| format!(r#"{{"operator":"put","settings":{{"key":"{key}"}}}}"#);
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
    let explain = json["explain"].take();
    explain.get("rounds").is_some().then_some(explain)
}

/// The same for a home and keys that are chosen by who leads what, while nobody else begins to.
async fn steady(
    trio: &Trio,
    home: &str,
    choose: impl Fn(&Leaders) -> Vec<String>,
) -> (Value, BTreeMap<u16, (String, u64)>) {
    eventually(120, "a job while nobody else begins to lead", async || {
        let leaders = trio.leaders().await;
        if leaders.len() < usize::from(PARTITIONS) {
            return None;
        }
        let keys = choose(&leaders);
        let explain = explained(trio, &keys, home).await?;
        let touched = |leaders: &Leaders| {
            let all = keys.iter().map(|key| at(key)).chain([at(home)]);
            all.map(|number| (number, leaders.get(&number).cloned())).collect::<BTreeMap<_, _>>()
        };
        if touched(&leaders) != touched(&trio.leaders().await) {
            return None;
        }
        let mut wrote = BTreeMap::from([(at(home), (leaders[&at(home)].clone(), 0))]);
        for key in &keys {
            let node = leaders[&at(key)].clone();
            wrote.entry(at(key)).or_insert((node, 0)).1 += 1;
        }
        Some((explain, wrote))
    })
    .await
}

fn told(explain: &Value) -> BTreeMap<u16, (String, u64)> {
    let part = |part: &Value| {
        let number = u16::try_from(part["partition"].as_u64().unwrap()).unwrap();
        (number, (part["node"].as_str().unwrap().to_owned(), part["writes"].as_u64().unwrap()))
    };
    explain["partitions"].as_array().unwrap().iter().map(part).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_told_which_partitions_it_touched_and_what_that_cost() {
    let trio = Trio::start().await;
    let home = "k0";
    let keys = || (1..400).map(|n| format!("k{n}"));
    let led = |leaders: &Leaders, key: &str| leaders[&at(key)].clone();
    let near = |leaders: &Leaders| {
        let same = |key: &String| led(leaders, key) == led(leaders, home) && at(key) != at(home);
        keys().find(same).unwrap()
    };
    let far =
        |leaders: &Leaders| keys().find(|key| led(leaders, key) != led(leaders, home)).unwrap();

    let (alone, wrote) = steady(&trio, home, |_| vec![home.to_owned()]).await;
    assert_eq!((&alone["rounds"], &alone["messages"]["prepare"]), (&0.into(), &0.into()));
    assert_eq!(told(&alone), wrote);

    // Another partition of the same node: asked, without a message.
    let (beside, wrote) = steady(&trio, home, |all| vec![home.to_owned(), near(all)]).await;
    assert!(beside["rounds"].as_u64() >= Some(1), "{beside}");
    assert_eq!(beside["messages"]["prepare"], 0, "{beside}");
    assert_eq!(told(&beside), wrote);

    // On another node: a question and an answer for each round.
    let (apart, wrote) = steady(&trio, home, |all| vec![home.to_owned(), far(all)]).await;
    let rounds = apart["rounds"].as_u64().unwrap();
    assert!(rounds >= 1 && apart["messages"]["prepare"].as_u64() >= Some(2 * rounds), "{apart}");
    assert_eq!(told(&apart), wrote);

    // A home that nothing is written in.
    let (elsewhere, wrote) = steady(&trio, home, |all| vec![far(all)]).await;
    assert!(elsewhere["rounds"].as_u64() >= Some(1), "{elsewhere}");
    assert_eq!(told(&elsewhere), wrote);
    trio.stop().await;
}
