use crate::cluster::{Cluster, code, json, text};
use async_nats::jetstream;
use catena_testing::within;
use futures_util::StreamExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_into_the_bucket_directly_counts_and_a_bad_one_says_why() {
    let cluster = Cluster::start(2, 1).await;
    // Makes sure that the bucket is there.
    cluster.ask("catena.chain.other.set", &[], "echo").await;
    let context = jetstream::new(cluster.client.clone());
    let bucket = context.get_key_value("CATENA_CHAINS").await.unwrap();
    bucket.put("direct", "trim,uppercase".into()).await.unwrap();
    assert_eq!(text(&cluster.ask("catena.run.direct", &[], " a ").await), "A");
    bucket.put("bad", r#"{"steps":[]}"#.into()).await.unwrap();
    let bad = cluster.ask("catena.run.bad", &[], "").await;
    assert_eq!(code(&bad).as_deref(), Some("400"));
    assert!(text(&bad).contains("1 to 64"), "{}", text(&bad));
    bucket.put("later", "upercase".into()).await.unwrap();
    let later = cluster.ask("catena.run.later", &[], "").await;
    assert_eq!(code(&later).as_deref(), Some("503"), "{}", text(&later));
    assert!(text(&later).contains("`upercase`"), "{}", text(&later));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_chain_is_used_and_a_deleted_one_is_gone() {
    let cluster = Cluster::start(2, 1).await;
    cluster.ask("catena.chain.c.set", &[], "uppercase").await;
    assert_eq!(text(&cluster.ask("catena.run.c", &[], "Aa").await), "AA");
    cluster.ask("catena.chain.c.set", &[], "lowercase").await;
    let changed = async {
        // Every scheduler hears of it within moments: ten times in a row nobody uses the old one.
        let mut row = 0;
        while row < 10 {
            let new = text(&cluster.ask("catena.run.c", &[], "Aa").await) == "aa";
            row = if new { row + 1 } else { 0 };
        }
    };
    within(5, "the change", changed).await;
    let deleted = cluster.ask("catena.chain.c.set", &[], "").await;
    assert_eq!(json(&deleted)["deleted"], true, "{}", text(&deleted));
    let gone = async {
        let mut row = 0;
        while row < 10 {
            let answer = cluster.ask("catena.run.c", &[], "Aa").await;
            row = if code(&answer).as_deref() == Some("404") { row + 1 } else { 0 };
        }
    };
    within(5, "the deletion", gone).await;
    let again = cluster.ask("catena.chain.c.set", &[], "").await;
    assert_eq!(code(&again).as_deref(), Some("404"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_settings_are_refused_with_the_reason() {
    let cluster = Cluster::start(1, 1).await;
    for (chain, part) in [
        (r#"[{"operator":"sleep","settings":{"for":"soon"}}]"#, "soon"),
        (r#"["echo",{"operator":"jq","settings":{"filter":".a |"}}]"#, "step 2"),
        (r#"[{"operator":"echo","settings":{"colour":1}}]"#, "colour"),
    ] {
        let answer = cluster.ask("catena.chain.wrong.set", &[], chain).await;
        assert_eq!(code(&answer).as_deref(), Some("400"), "{chain}: {}", text(&answer));
        assert!(text(&answer).contains(part), "{chain}: {}", text(&answer));
    }
    let run = cluster.ask("catena.run.wrong", &[], "").await;
    assert_eq!(code(&run).as_deref(), Some("404"), "nothing was stored");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_operator_is_any_program_that_answers() {
    let cluster = Cluster::start(2, 1).await;
    let mut requests = cluster.client.subscribe("my.double").await.unwrap();
    let client = cluster.client.clone();
    let program = tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let twice = [&request.payload[..], &request.payload[..]].concat();
            client.publish(request.reply.unwrap(), twice.into()).await.unwrap();
        }
    });
    let set = cluster.ask("catena.operator.double.set", &[], "my.double").await;
    assert_eq!(json(&set)["operator"], "double", "{}", text(&set));
    // Also right after the start: what workers offer is waited for.
    let listed = json(&cluster.ask("catena.operators", &[], "").await);
    assert!(listed["operators"].as_array().unwrap().len() > 5, "{listed}");
    let run = async {
        // Schedulers that have not heard of it yet say that they do not know it.
        loop {
            let chain = [("Catena-Chain", "double,uppercase")];
            let answer = cluster.ask("catena.run.inline", &chain, "ab").await;
            if code(&answer).is_none() {
                return text(&answer).to_owned();
            }
            assert_eq!(code(&answer).as_deref(), Some("404"), "{}", text(&answer));
        }
    };
    assert_eq!(within(5, "the service operator", run).await, "ABAB");
    program.abort();
    cluster.stop().await;
}
