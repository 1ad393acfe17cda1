//! `catena submit`

use super::setup::Setup;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submitted_job_is_followed_by_its_id() {
    let setup = Setup::start().await;
    setup.good(&["chain", "set", "shout", "uppercase"]).await;
    let id = setup.good(&["submit", "shout", "hello"]).await;
    let id = id.trim();
    assert_eq!(setup.good(&["job", "wait", id]).await, "HELLO");
    assert_eq!(setup.good(&["job", "result", id]).await, "HELLO");
    assert_eq!(setup.good(&["submit", "shout", "hello", "--wait"]).await, "HELLO");
    let queued = setup.json(&["submit", "--inline", "uppercase", "hello", "--json"]).await;
    assert_eq!(queued["state"], "queued");
    let id = queued["job"].as_str().unwrap();
    assert_eq!(setup.json(&["job", "wait", id, "--json"]).await["result"], "HELLO");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_queued_and_ids_keep_their_order() {
    let setup = Setup::start().await;
    let said =
        setup.catena_with(&["submit", "--inline", "uppercase", "--each-line"], b"a\nb\nc\n").await;
    assert_eq!(said.code, 0, "{said:?}");
    let mut results = Vec::new();
    for id in said.text().lines() {
        results.push(setup.good(&["job", "wait", id]).await);
    }
    assert_eq!(results, ["A", "B", "C"]);
    let arguments = ["submit", "--inline", "uppercase", "--each-line", "--wait", "--json"];
    let said = setup.catena_with(&arguments, b"a\nb\n").await;
    let seen: Vec<Value> =
        said.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&seen[1]["line"], &seen[1]["result"]), (&Value::from(2), &Value::from("B")));
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_run_is_not_queued() {
    let setup = Setup::start().await;
    setup.bad(1, "`nope` is not defined", &["submit", "nope", "x"]).await;
    setup.bad(2, "which chain?", &["submit"]).await;
    let said = setup.catena(&["submit", "nope", "x", "--json"]).await;
    assert_eq!((said.code, &said.json()["error"]["code"]), (1, &Value::from(404)));
    let failing = ["submit", "--inline", "fail", "x", "--wait", "--json"];
    let said = setup.catena(&failing).await;
    assert_eq!((said.code, &said.json()["error"]["code"]), (1, &Value::from(422)), "{said:?}");
    setup.stop().await;
}
