//! `catena operators`

use super::setup::Setup;
use futures_util::StreamExt;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_are_listed_with_their_help() {
    let setup = Setup::start().await;
    let text = setup.good(&["operators"]).await;
    assert!(text.contains("word-count  (built-in, writing)\n    counts the words"), "{text}");
    assert_eq!(setup.good(&["operators", "list"]).await, text);
    let list = setup.json(&["operators", "--json"]).await;
    let upper = list["operators"].as_array().unwrap().iter().find(|o| o["name"] == "uppercase");
    let upper = upper.unwrap();
    assert_eq!((&upper["kind"], &upper["effect"]), (&"built-in".into(), &"pure".into()));
    assert_eq!(upper["workers"], 2);
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_operator_is_defined_used_and_deleted() {
    let setup = Setup::start().await;
    let link = setup.link().await;
    let mut asked = link.client.subscribe("my.enrich").await.unwrap();
    link.client.flush().await.unwrap();
    let client = link.client.clone();
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let mut body = message.payload.to_vec();
            body.extend_from_slice(b" enriched");
            client.publish(message.reply.unwrap(), body.into()).await.unwrap();
        }
    });
    let set = ["operators", "set", "enrich", "--subject", "my.enrich", "--description", "adds"];
    setup.good(&set).await;
    assert_eq!(setup.good(&["run", "--inline", "enrich,uppercase", "x"]).await, "X ENRICHED");
    let list = setup.good(&["operators"]).await;
    assert!(list.contains("enrich  (service, pure)\n    adds"), "{list}");
    let again = setup.json(&[&set[..], &["--effect", "read-only", "--json"]].concat()).await;
    assert_eq!(again["operator"], "enrich");
    setup.good(&["operators", "delete", "enrich"]).await;
    setup.bad(1, "not known", &["run", "--inline", "enrich", "x"]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_operators_are_refused() {
    let setup = Setup::start().await;
    setup.bad(2, "not a subject", &["operators", "set", "a", "--subject", "a..b"]).await;
    setup.bad(2, "not a subject", &["operators", "set", "a", "--subject", "a.>"]).await;
    setup.bad(2, "--subject", &["operators", "set", "a"]).await;
    setup.bad(1, "another name", &["operators", "set", "echo", "--subject", "a.b"]).await;
    setup.bad(1, "built-in", &["operators", "delete", "echo"]).await;
    setup.bad(1, "not known", &["operators", "delete", "nope"]).await;
    let said: Value = setup.json(&["operators", "--json"]).await;
    assert!(said["operators"].as_array().unwrap().iter().all(|o| o["kind"] == "built-in"));
    setup.stop().await;
}
