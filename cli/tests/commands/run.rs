//! `catena run`

use super::setup::{Setup, catena};
use catena_testing::within;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_printed_as_it_is() {
    let setup = Setup::start().await;
    setup.good(&["chain", "set", "shout", "trim,uppercase"]).await;
    assert_eq!(setup.good(&["run", "shout", " hello "]).await, "HELLO");
    assert_eq!(setup.good(&["run", "--inline", "uppercase", "hello"]).await, "HELLO");
    let bytes = [0, 255, b'\n', 254, b'\r', b'\n'];
    for arguments in [&["run", "--inline", "echo"][..], &["run", "--inline", "echo", "-"]] {
        let said = setup.catena_with(arguments, &bytes).await;
        assert_eq!((said.code, &said.out[..]), (0, &bytes[..]), "{said:?}");
    }
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_tells_job_version_and_result_or_error() {
    let setup = Setup::start().await;
    let good = setup.json(&["run", "--inline", "uppercase", "hello", "--json"]).await;
    assert_eq!(good["result"], "HELLO");
    assert!(good["version"].is_u64() && good["job"].as_str().unwrap().len() == 36, "{good}");
    let binary = setup.catena_with(&["run", "--inline", "echo", "--json"], b"\xff").await;
    assert_eq!(binary.json()["result_base64"], "/w==");
    let bad = setup.catena(&["run", "nope", "hello", "--json"]).await;
    assert_eq!((bad.code, &bad.json()["error"]["code"]), (1, &Value::from(404)), "{bad:?}");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_runs_a_job_once() {
    let setup = Setup::start().await;
    let chain = r#"[{"operator": "increment", "settings": {"key": "runs"}}]"#;
    let arguments = ["run", "--inline", chain, "x", "--idempotency-key", "a", "--json"];
    let first = setup.json(&arguments).await;
    assert_eq!(setup.json(&arguments).await, first);
    assert_eq!(setup.good(&["kv", "get", "runs"]).await, "1");
    let version = first["version"].to_string();
    let read = r#"[{"operator": "get", "settings": {"key": "runs"}}]"#;
    let after = ["run", "--inline", read, "x", "--after", &version, "--key", "runs"];
    assert_eq!(setup.good(&after).await, "1");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_line_is_a_job_and_results_keep_their_order() {
    let setup = Setup::start().await;
    let lines: Vec<String> = (0..3_000).map(|n| format!("line {n}")).collect();
    let input = format!("{}\r\n", lines.join("\n"));
    let arguments = ["run", "--inline", "uppercase", "--each-line", "--concurrency", "256"];
    let said = setup.catena_with(&arguments, input.as_bytes()).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let expected: String = lines.iter().map(|line| format!("{}\n", line.to_uppercase())).collect();
    assert_eq!(said.text(), expected);
    assert!(said.err.contains("3000 jobs in") && said.err.contains("0 failed"), "{}", said.err);

    let unordered = [&arguments[..], &["--unordered", "--json"]].concat();
    let said = setup.catena_with(&unordered, input.as_bytes()).await;
    let mut seen: Vec<Value> =
        said.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    seen.sort_by_key(|object| object["line"].as_u64());
    for (at, object) in seen.iter().enumerate() {
        assert_eq!(object["line"], at as u64 + 1);
        assert_eq!(object["result"], lines[at].to_uppercase());
    }
    assert_eq!(seen.len(), lines.len());
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_fails_leaves_an_empty_line_and_a_reason() {
    let setup = Setup::start().await;
    let mut input = b"{\"a\":1}\nnonsense\n".to_vec();
    input.extend(vec![b' '; 600 * 1024]);
    input.extend(b"\n{\"a\":2}");
    let chain = r#"[{"operator": "jq", "settings": {"filter": ".a"}}]"#;
    let said = setup.catena_with(&["run", "--inline", chain, "--each-line"], &input).await;
    assert_eq!((said.code, said.text().as_str()), (1, "1\n\n\n2\n"), "{}", said.err);
    assert!(said.err.contains("line 2: ") && said.err.contains("line 3: "), "{}", said.err);
    assert!(said.err.contains("2 failed"), "{}", said.err);
    let said = setup.catena_with(&["run", "--inline", "echo", "--each-line"], b"").await;
    assert_eq!((said.code, said.text().as_str()), (0, ""), "{}", said.err);
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_say_what_to_do() {
    let setup = Setup::start().await;
    setup.bad(1, "`nope` is not defined", &["run", "nope", "x"]).await;
    setup.bad(1, "did you mean `uppercase`", &["run", "--inline", "upercase", "x"]).await;
    setup.bad(2, "--inline trim,uppercase", &["run", "trim,uppercase", "x"]).await;
    setup.bad(2, "which chain?", &["run"]).await;
    setup.bad(2, "there is no CHAIN", &["run", "--inline", "echo", "a", "b"]).await;
    setup.bad(2, "leave INPUT out", &["run", "--each-line", "echo", "x"]).await;
    setup.bad(2, "not a duration", &["run", "echo", "x", "--timeout", "soon"]).await;
    setup.bad(2, "--each-line", &["run", "echo", "x", "--unordered"]).await;
    let large = setup.catena_with(&["run", "--inline", "echo"], &vec![b'x'; 600 * 1024]).await;
    assert_eq!(large.code, 1);
    assert!(large.err.contains("524288"), "{large:?}");
    let late = r#"[{"operator": "sleep", "settings": {"for": "30s"}}]"#;
    let said = setup.catena(&["run", "--inline", late, "x", "--timeout", "300ms"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_does_not_wait_for_the_next_line() {
    let setup = Setup::start().await;
    let arguments = ["run", "--inline", "uppercase", "--each-line"];
    let mut child = setup.command(&arguments).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut results = BufReader::new(child.stdout.take().unwrap()).lines();
    for (line, result) in [("one\n", "ONE"), ("two\nthr", "TWO")] {
        input.write_all(line.as_bytes()).await.unwrap();
        let next = within(30, "a result", results.next_line()).await.unwrap();
        assert_eq!(next.as_deref(), Some(result));
    }
    input.write_all(b"ee").await.unwrap();
    drop(input);
    assert_eq!(results.next_line().await.unwrap().as_deref(), Some("THREE"));
    assert!(child.wait().await.unwrap().success());
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_seen_enough_ends_it_quietly() {
    let setup = Setup::start().await;
    let mut child = setup.command(&["run", "--inline", "echo", "--each-line"]).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\n").await.unwrap();
    let mut said = String::new();
    let mut errors = child.stderr.take().unwrap();
    within(30, "its end", errors.read_to_string(&mut said)).await.unwrap();
    assert_eq!(said, "");
    assert_eq!(child.wait().await.unwrap().code(), Some(141));
    setup.stop().await;
}

#[tokio::test]
async fn without_a_server_it_says_where_it_looked() {
    let said = catena(&["--server", "nats://127.0.0.1:1", "run", "shout", "x"], b"").await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("nats://127.0.0.1:1"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_took_is_explained() {
    let setup = Setup::start().await;
    let put = |key: &str| format!(r#"{{"operator":"put","settings":{{"key":"{key}"}}}}"#);
    let chain = format!("[{},{}]", put("{a}1"), put("{a}2"));
    let home = catena_protocol::partition("{a}", catena_protocol::limit::PARTITIONS);
    let run = ["run", "--inline", &chain, "x", "--key", "{a}", "--explain"];
    let said = setup.catena(&run).await;
    assert_eq!((said.code, &said.out[..]), (0, &b"x"[..]), "{said:?}");
    let lines = [
        format!("home            partition {home}: the routing key is `{{a}}`"),
        "attempts        1 (0 lost against other jobs, 0 failed operators, 0 other trouble)".into(),
        format!("partition       {home} on storage-1 (home): 0 read, 0 scanned, 2 written"),
        "rounds          0: the home's node decided alone".to_owned(),
    ];
    for line in lines {
        assert!(said.err.lines().any(|said| said == line), "`{line}` in {}", said.err);
    }
    assert!(said.err.contains("Catena-Version"), "{}", said.err);
    let json = setup.json(&[&run[..], &["--json"]].concat()).await;
    let explain = &json["explain"];
    assert_eq!(explain["home"], serde_json::json!({ "partition": home, "because": "key" }));
    assert_eq!((&explain["rounds"], &explain["attempts"]), (&0.into(), &1.into()), "{json}");
    assert_eq!(explain["workers"].as_array().unwrap().len(), 2);
    let messages = &explain["messages"];
    assert_eq!((&messages["commit"], &messages["prepare"]), (&2.into(), &0.into()), "{json}");

    // Who does not ask is not told; a job without writes needs no commit.
    assert_eq!(
        setup.json(&["run", "--inline", "echo", "x", "--json"]).await["explain"],
        Value::Null
    );
    let pure = setup.json(&["run", "--inline", "echo", "x", "--json", "--explain"]).await;
    assert_eq!(pure["explain"]["home"]["because"], "chance");
    assert_eq!(pure["explain"]["messages"]["all"], 3, "there, to the worker, and back: {pure}");
    assert_eq!(pure["explain"].get("partitions"), None);
    // The second of two under one key finds the outcome of the first.
    let keyed = ["run", "--inline", &chain, "x", "--idempotency-key", "k", "--json", "--explain"];
    assert_eq!(setup.json(&keyed).await["explain"]["partitions"].as_array().unwrap().len(), 2);
    let again = setup.json(&keyed).await;
    assert_eq!(again["explain"]["home"]["because"], "idempotency-key");
    assert_eq!(again["explain"].get("partitions"), None, "{again}");
    setup.bad(2, "--each-line", &["run", "echo", "--each-line", "--explain"]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_a_chain_chooses_the_home() {
    let setup = Setup::start().await;
    let put = r#"{"operator":"put","settings":{"key_from":"/id"}}"#;
    let chain = format!(r#"{{"steps":[{put}],"key":"/id"}}"#);
    setup.good(&["chain", "set", "save", &chain]).await;
    let named = ["run", "save"];
    let inline = ["run", "--inline", &chain];
    for (run, caller) in [(&named[..], 4), (&inline[..], 2)] {
        for id in ["a", "b", "c"] {
            let input = format!(r#"{{"id":"{id}"}}"#);
            let json = setup.json(&[run, &[&input, "--explain", "--json"]].concat()).await;
            let explain = &json["explain"];
            let home = catena_protocol::partition(id, catena_protocol::limit::PARTITIONS);
            let because = serde_json::json!({ "partition": home, "because": "chain" });
            assert_eq!(explain["home"], because, "{json}");
            assert_eq!(explain["partitions"].as_array().unwrap().len(), 1, "{json}");
            assert_eq!(explain["messages"]["caller"], caller, "{json}");
        }
    }
    // An idempotency key says the same job whatever is known of the chain.
    let keyed = ["--idempotency-key", "k", "--explain", "--json"];
    let json = setup.json(&[&["run", "save", r#"{"id":"a"}"#][..], &keyed].concat()).await;
    assert_eq!(json["explain"]["home"]["because"], "idempotency-key", "{json}");
    setup.stop().await;
}
