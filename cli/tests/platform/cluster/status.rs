//! `catena cluster status` while nodes are lost and come back.

use super::records;
use crate::support::{Trio, eventually};
use catena_client::Client;
use serde_json::{Value, json};
use std::process::Output;

/// Asks until the same problems are named in words and in JSON, and these are they; the exit code
/// says whether there are any. Returns the JSON.
async fn says(trio: &Trio, problems: &[&str]) -> Value {
    eventually(60, &format!("problems {problems:?}"), async || {
        let text = trio.catena(&["cluster", "status"]).await;
        let json = trio.catena(&["cluster", "status", "--json"]).await;
        // Right after a start nobody may answer yet.
        let value: Value = serde_json::from_slice(&json.stdout).ok()?;
        if value["problems"] != json!(problems) || !ends_with(&text, problems) {
            return None;
        }
        let code = i32::from(!problems.is_empty());
        assert_eq!((text.status.code(), json.status.code()), (Some(code), Some(code)));
        Some(value)
    })
    .await
}

/// Whether the text has these problems and no others, behind its table.
fn ends_with(output: &Output, problems: &[&str]) -> bool {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let table = |line: &&str| line.starts_with("node  ") || line.starts_with("storage-");
    let said: Vec<&str> = text.lines().skip_while(table).collect();
    said == if problems.is_empty() { &["everything is well"] } else { problems }
}

fn unreachable(node: u8) -> String {
    let why = "it does not answer; start it, or look at its log";
    format!("node storage-{node} is unreachable: {why}")
}

/// Each of the partitions has a primary; these nodes lead them, and so many.
fn leads(status: &Value) -> Vec<(&str, u64)> {
    let partitions = status["partitions"].as_array().unwrap();
    assert!(partitions.iter().all(|one| one["primary"].is_string()), "{status}");
    assert!(partitions.iter().all(|one| one["voters"].as_array().unwrap().len() == 3), "{status}");
    let nodes = status["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["node"].as_str().unwrap(), node["leads"].as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_names_who_is_lost_and_what_cannot_be_done_until_they_are_back() {
    let mut trio = Trio::start().await;
    // Before the first write there is nothing that a replica could be behind with.
    says(&trio, &[]).await;
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    records::write(&client, "before").await;
    let well = says(&trio, &[]).await;
    let led = leads(&well);
    assert_eq!(
        led.iter().map(|(node, _)| *node).collect::<Vec<_>>(),
        ["storage-1", "storage-2", "storage-3"]
    );
    assert_eq!(led.iter().map(|(_, leads)| leads).sum::<u64>(), 64);
    assert_eq!(well["cluster"]["partitions"], 64);

    trio.kill(1).await;
    let (second, third) = (unreachable(2), unreachable(3));
    let one_lost = says(&trio, &[&second]).await;
    let led = leads(&one_lost);
    assert_eq!(led.iter().map(|(_, leads)| leads).sum::<u64>(), 64, "{led:?}");
    assert_eq!(led.len(), 2);

    trio.kill(2).await;
    let majority = "partitions 0-63: without majority: 1 of 3 voters answer; nothing can be \
                    written until more of them are back";
    let primary = "partitions 0-63: without primary: writes and fresh reads wait for an election";
    let two_lost = says(&trio, &[&second, &third, majority, primary]).await;
    let first = &two_lost["partitions"][0];
    assert_eq!(first["primary"], Value::Null);
    assert_eq!(first["voters"].as_array().unwrap().len(), 3);
    assert_eq!(first["replicas"].as_array().unwrap().len(), 1);
    assert_eq!(first["replicas"][0]["lag_ms"], Value::Null);

    trio.kill(0).await;
    let none = trio.catena(&["cluster", "status"]).await;
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    let error = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(error.contains("no storage node answers"), "{error}");

    (0..3).for_each(|node| trio.start_again(node));
    assert_eq!(leads(&says(&trio, &[]).await).len(), 3);
    trio.stop().await;
}
