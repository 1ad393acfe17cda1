//! `nats kv put CATENA_CHAINS ...`: definitions that nobody has checked.

use crate::support::{Platform, eventually};
use async_nats::jetstream::{self, kv};

async fn bucket(platform: &Platform, name: &str) -> kv::Store {
    let context = jetstream::new(platform.client.clone());
    context.get_key_value(name).await.unwrap()
}

/// Waits until running the chain is answered with this code (0: a result) and text.
async fn becomes(platform: &Platform, chain: &str, code: u16, part: &str) {
    let subject = format!("catena.run.{chain}");
    eventually(10, &format!("{code} `{part}` from {chain}"), async || {
        let answer = platform.ask(&subject, &[], "input").await;
        let found = answer.header("Nats-Service-Error-Code").map_or(0, |c| c.parse().unwrap());
        (found == code && answer.text().contains(part)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_put_into_the_bucket_run_or_say_why_not() {
    let platform = Platform::of(2, 2).await;
    let chains = bucket(&platform, "CATENA_CHAINS").await;
    chains.put("shout", "uppercase".into()).await.unwrap();
    becomes(&platform, "shout", 0, "INPUT").await;
    chains.put("shout", "uppercase,lowercase".into()).await.unwrap();
    becomes(&platform, "shout", 0, "input").await;
    for (definition, code, part) in [
        (r#"{"steps":["#, 400, "not valid"),
        (r#"{"steps":["echo"],"colour":"red"}"#, 400, "colour"),
        ("[]", 400, "1 to 64"),
        // A worker that knows it may still come, so this is not for ever.
        ("nonsense", 503, "nonsense"),
        (r#"[{"operator":"jq","settings":{"filter":".["}}]"#, 400, "jq"),
        (r#"[{"operator":"sleep","settings":{"for":"soon"}}]"#, 400, "soon"),
    ] {
        chains.put("bad", definition.into()).await.unwrap();
        becomes(&platform, "bad", code, part).await;
    }
    chains.put("bad", vec![0xff, 0xfe].into()).await.unwrap();
    becomes(&platform, "bad", 400, "UTF-8").await;
    chains.put("bad", vec![b'['; 60_000].into()).await.unwrap();
    becomes(&platform, "bad", 400, "").await;
    chains.put("bad", vec![b'a'; 70_000].into()).await.unwrap();
    becomes(&platform, "bad", 413, "").await;
    // A key that is no name is nobody's chain, and disturbs no other.
    chains.put("not/a.name", "echo".into()).await.unwrap();
    chains.put("bad", "uppercase".into()).await.unwrap();
    becomes(&platform, "bad", 0, "INPUT").await;
    chains.delete("bad").await.unwrap();
    becomes(&platform, "bad", 404, "`bad`").await;
    chains.purge("shout").await.unwrap();
    becomes(&platform, "shout", 404, "`shout`").await;
    platform.still_works().await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_checked_before_it_is_set() {
    let platform = Platform::start().await;
    let set = "catena.chain.bad.set";
    for (definition, code, part) in [
        ("nonsense", 404, "nonsense"),
        (r#"[{"operator":"jq","settings":{"filter":".["}}]"#, 400, "step 1"),
        (r#"["echo",{"operator":"put","settings":{"kee":"x"}}]"#, 400, "kee"),
        (r#"{"steps":["echo"],"deadline":"2h"}"#, 400, "deadline"),
        (r#"{"steps":["echo"],"retries":5000}"#, 400, "retries"),
        (r#"{"steps":["echo"],"isolation":"none"}"#, 400, "serializable"),
        ("{", 400, "not valid"),
    ] {
        platform.ask(set, &[], definition).await.says(code, part);
    }
    platform.ask("catena.chain.inline.set", &[], "echo").await.bad(400);
    platform.ask("catena.chain.bad.set", &[], vec![0xff]).await.says(400, "UTF-8");
    platform.ask("catena.run.bad", &[], "x").await.bad(404);
    let chains = bucket(&platform, "CATENA_CHAINS").await;
    assert!(chains.get("bad").await.unwrap().is_none(), "nothing was stored");
    platform.stop().await;
}
