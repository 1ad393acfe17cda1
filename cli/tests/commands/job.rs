//! `catena job`

use super::setup::Setup;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_tells_where_it_stands() {
    let setup = Setup::start().await;
    let id = setup.good(&["submit", "--inline", "uppercase", "hello"]).await;
    let id = id.trim();
    setup.good(&["job", "wait", id]).await;
    let text = setup.good(&["job", "status", id]).await;
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[..2], [["job", id], ["state", "committed"]], "{text}");
    let status = setup.json(&["job", "status", id, "--json"]).await;
    assert_eq!((&status["state"], &status["chain"]), (&"committed".into(), &"inline".into()));
    let result = setup.json(&["job", "result", id, "--json"]).await;
    assert_eq!(result["result"], "HELLO");
    assert_eq!(result["version"], status["version"]);
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_result_says_why() {
    let setup = Setup::start().await;
    let unknown = "00113be9-35a6-8a2b-9c1d-0123456789ab";
    setup.bad(1, unknown, &["job", "status", unknown]).await;
    setup.bad(1, unknown, &["job", "result", unknown]).await;
    setup.bad(1, unknown, &["job", "wait", unknown, "--timeout", "200ms"]).await;
    for verb in ["status", "result"] {
        let said = setup.catena(&["job", verb, unknown, "--json"]).await;
        assert_eq!((said.code, &said.json()["error"]["code"]), (1, &Value::from(404)));
    }
    setup.bad(2, "is not an id", &["job", "status", "x"]).await;

    let failed = setup.good(&["submit", "--inline", "fail", "x"]).await;
    let wait = setup.catena(&["job", "wait", failed.trim(), "--json"]).await;
    assert_eq!((wait.code, &wait.json()["error"]["code"]), (1, &Value::from(422)), "{wait:?}");
    let status = setup.json(&["job", "status", failed.trim(), "--json"]).await;
    assert_eq!((&status["state"], &status["error"]["code"]), (&"failed".into(), &422.into()));

    let slow = r#"[{"operator": "sleep", "settings": {"for": "60s"}}]"#;
    let slow = setup.good(&["submit", "--inline", slow, "x", "--timeout", "5s"]).await;
    setup.bad(1, "no result yet", &["job", "result", slow.trim()]).await;
    setup.bad(1, "is still", &["job", "wait", slow.trim(), "--timeout", "300ms"]).await;
    setup.stop().await;
}
