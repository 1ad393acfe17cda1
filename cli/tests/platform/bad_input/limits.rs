//! Keys, values and write sets beyond their limits.

use crate::support::Platform;
use catena_protocol::limit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_values_have_limits() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let long = "k".repeat(limit::KEY_BYTES + 1);
    for verb in ["read", "write", "add", "delete", "update-if-value-is", "scan"] {
        let subject = format!("catena.storage.{verb}.{long}");
        platform.ask(&subject, &[], "1").await.bad(413);
    }
    let large = vec![b'x'; limit::VALUE_BYTES + 1];
    platform.ask("catena.storage.write.large", &[], large.clone()).await.bad(413);
    let update = serde_json::json!({
        "expected": null, "value": String::from_utf8(large.clone()).unwrap(),
    });
    platform.ask("catena.storage.update-if-value-is.large", &[], update.to_string()).await.bad(413);
    let put = r#"[{"operator":"put","settings":{"key":"large"}}]"#;
    platform.inline(put, large).await.bad(413);
    let put = format!(r#"[{{"operator":"put","settings":{{"key":"{long}"}}}}]"#);
    let code =
        platform.inline(&put, "x").await.header("Nats-Service-Error-Code").map(str::to_owned);
    assert!(matches!(code.as_deref(), Some("400" | "413")), "{code:?}");
    let pointer = r#"[{"operator":"put","settings":{"key_from":"/id"}}]"#;
    platform.inline(pointer, format!(r#"{{"id":"{long}"}}"#)).await.says(422, "512");
    platform.inline(pointer, r#"{"id":"a\u0000b"}"#).await.says(422, "/id");
    platform.unharmed(&before).await;

    // At the limit everything works.
    let key = "k".repeat(limit::KEY_BYTES);
    let value = vec![b'x'; limit::VALUE_BYTES];
    platform.ask(&format!("catena.storage.write.{key}"), &[], value.clone()).await.good();
    assert_eq!(platform.read(&key).await.body, value);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_sets_and_results_have_limits() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    platform.inline("write-bytes", (600 * 1024).to_string()).await.bad(413);
    platform.inline("write-keys", (limit::SET_KEYS + 1).to_string()).await.bad(413);
    platform.inline("too-long", (limit::PAYLOAD_BYTES + 1).to_string()).await.says(413, "too-long");
    platform.inline("too-long,echo", (limit::PAYLOAD_BYTES + 1).to_string()).await.bad(413);
    // Each step is within its limits; what the chain has gathered is not.
    platform.inline("write-bytes,write-keys", (500 * 1024).to_string()).await.bad(413);
    platform.unharmed(&before).await;

    let most = limit::PAYLOAD_BYTES;
    let answer = platform.inline("too-long,echo,echo", most.to_string()).await;
    assert_eq!(answer.body.len(), most);
    platform.inline("write-keys", limit::SET_KEYS.to_string()).await.good();
    platform.inline("write-bytes,echo", (480 * 1024).to_string()).await.good();
    assert_eq!(platform.read("bytes:0000").await.body.len(), 200 * 1024);
    assert_eq!(platform.read("keys:003999").await.good(), "x");
    platform.still_works().await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_sets_and_scans_have_limits() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let over = (limit::SET_KEYS + 1).to_string();
    platform.inline("read-keys", over.clone()).await.says(413, "nothing was changed");
    platform.inline("scan-tags", over.clone()).await.says(413, "nothing was changed");
    // Each step is within the limit; together they are not.
    let chain =
        r#"["read-keys",{"operator":"jq","settings":{"filter":"2001","raw":true}},"scan-tags"]"#;
    platform.inline(chain, "2000").await.says(413, "nothing was changed");
    platform.unharmed(&before).await;
    // At the limit it commits, whatever partitions that touches.
    platform.inline("read-keys", limit::SET_KEYS.to_string()).await.good();
    assert_eq!(platform.number("read-keys").await, limit::SET_KEYS as i64);
    platform.stop().await;
}
