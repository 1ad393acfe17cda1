//! `catena kv`

use super::setup::Setup;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_come_back_as_they_went_at_every_version() {
    let setup = Setup::start().await;
    let first = setup.good(&["kv", "put", "a", "one"]).await;
    let bytes = [0, 255, b'\n'];
    let said = setup.catena_with(&["kv", "put", "a", "-", "--json"], &bytes).await;
    assert_eq!(said.code, 0, "{said:?}");
    let second = said.json()["version"].clone();
    assert_eq!(setup.catena(&["kv", "get", "a"]).await.out, bytes);
    assert_eq!(setup.good(&["kv", "get", "a", "--version", first.trim()]).await, "one");
    let entry = setup.json(&["kv", "get", "a", "--json"]).await;
    assert_eq!(entry, json!({ "key": "a", "version": second, "value_base64": "AP8K" }));

    let deleted = setup.json(&["kv", "delete", "a", "--json"]).await;
    assert!(deleted["version"].as_u64() > second.as_u64());
    setup.bad(1, "key `a` has no value", &["kv", "get", "a"]).await;
    let none = setup.catena(&["kv", "get", "a", "--json"]).await;
    assert_eq!((none.code, &none.json()["value"]), (1, &Value::Null));
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_happens_only_on_what_is_expected() {
    let setup = Setup::start().await;
    setup.good(&["kv", "update", "seat", "--absent", "ada"]).await;
    setup.bad(1, "holds `ada`", &["kv", "update", "seat", "--absent", "bob"]).await;
    setup.bad(1, "holds `ada`", &["kv", "update", "seat", "--expected", "eve", "bob"]).await;
    let bob = setup.json(&["kv", "update", "seat", "--expected", "ada", "bob", "--json"]).await;
    let version = bob["version"].to_string();
    let by_version = ["kv", "update", "seat", "--version", &version, "eve"];
    setup.good(&by_version).await;
    setup.bad(1, "nothing was changed", &by_version).await;
    let differs = setup.catena(&["kv", "update", "seat", "--expected", "x", "y", "--json"]).await;
    assert_eq!((differs.code, &differs.json()["found"]["value"]), (1, &Value::from("eve")));
    setup.bad(1, "has no value", &["kv", "update", "other", "--expected", "x", "y"]).await;
    setup.bad(2, "--expected", &["kv", "update", "seat", "x"]).await;
    assert_eq!(setup.good(&["kv", "get", "seat"]).await, "eve");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn integers_are_added_to() {
    let setup = Setup::start().await;
    assert_eq!(setup.good(&["kv", "add", "n", "5"]).await, "5\n");
    assert_eq!(setup.good(&["kv", "add", "n", "-7"]).await, "-2\n");
    let added = setup.json(&["kv", "add", "n", "3", "--json"]).await;
    assert_eq!(added["value"], 1);
    assert_eq!(setup.json(&["kv", "get", "n", "--json"]).await["version"], added["version"]);
    setup.good(&["kv", "put", "t", "text"]).await;
    setup.bad(1, "integer", &["kv", "add", "t", "1"]).await;
    setup.bad(2, "invalid value", &["kv", "add", "n", "many"]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_sorted_over_all_partitions() {
    let setup = Setup::start().await;
    for n in [3, 1, 2] {
        setup.good(&["kv", "put", &format!("p:{n}"), &n.to_string()]).await;
    }
    setup.good(&["kv", "put", "{q}:1", "tagged"]).await;
    assert_eq!(setup.good(&["kv", "scan", "p:"]).await, "p:1\t1\np:2\t2\np:3\t3\n");
    assert_eq!(setup.good(&["kv", "scan", "{q}:"]).await, "{q}:1\ttagged\n");
    assert_eq!(setup.good(&["kv", "scan"]).await.lines().count(), 4);
    let limited = setup.catena(&["kv", "scan", "p:", "--limit", "2", "--json"]).await;
    let keys: Vec<Value> = limited
        .text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].clone())
        .collect();
    assert_eq!(keys, ["p:1", "p:2"]);
    assert!(limited.err.contains("there are more"), "{limited:?}");
    assert_eq!(setup.good(&["kv", "scan", "nothing:"]).await, "");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_keys_and_values_are_refused() {
    let setup = Setup::start().await;
    setup.bad(2, "at most 512", &["kv", "put", &"k".repeat(513), "x"]).await;
    setup.bad(2, "must not be empty", &["kv", "get", ""]).await;
    let said = setup.catena_with(&["kv", "put", "a"], &vec![b'x'; 300 * 1024]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("262144"), "{said:?}");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_one_command_is_the_floor_of_the_next() {
    let setup = Setup::start().await;
    let put = setup.json(&["kv", "put", "{a}n", "5", "--json"]).await;
    let after = put["version"].to_string();
    assert_eq!(setup.good(&["kv", "get", "{a}n", "--after", &after]).await, "5");
    assert_eq!(setup.good(&["kv", "scan", "{a}", "--after", &after]).await, "{a}n\t5\n");
    // A version that is still to come is waited for.
    let soon = catena_link::wall_us() + 300_000;
    setup.good(&["kv", "get", "{a}n", "--after", &soon.to_string()]).await;
    assert!(catena_link::wall_us() >= soon);
    for verb in ["get", "scan"] {
        let never = ["kv", verb, "{a}n", "--after", "99999999999999999"];
        setup.bad(1, "ahead of this machine's clock", &never).await;
    }

    // What a job, on the queue or not, wrote is seen by the next.
    let increment = r#"[{"operator": "increment", "settings": {"key": "{a}n"}}]"#;
    let read = r#"[{"operator": "get", "settings": {"key": "{a}n"}}]"#;
    let mut after = after;
    for (n, verb) in [(6, &["run"][..]), (7, &["submit", "--wait"])] {
        let write = ["--inline", increment, "x", "--after", &after, "--json"];
        let written = setup.json(&[verb, &write].concat()).await;
        assert!(written["version"].as_u64() > after.parse().ok(), "{written}");
        after = written["version"].to_string();
        let seen = ["run", "--inline", read, "x", "--after", &after, "--json"];
        let seen = setup.json(&seen).await;
        assert_eq!(seen["result"], n.to_string());
        assert!(seen["version"].as_u64() >= after.parse().ok());
    }
    setup.stop().await;
}
