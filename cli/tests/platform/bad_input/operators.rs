//! Operators that misbehave: their job fails, and nobody else's.

use crate::support::{Platform, let_go};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_panics_or_hangs_ends_its_job_only() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    for chain in ["write-then-panic", "echo,write-then-panic,echo"] {
        platform.inline(chain, "x").await.says(422, "on purpose");
    }
    let queued = platform
        .ask("catena.submit.inline", &[("Catena-Chain", "write-then-panic")], "x")
        .await
        .json();
    let ended = platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["error"]["code"], 422, "{ended}");

    let hang = r#"{"steps":["write-then-hang"],"step_timeout":"300ms"}"#;
    let began = Instant::now();
    platform.inline(hang, "x").await.says(504, "write-then-hang");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let hang = r#"{"steps":["write-then-hang"],"deadline":"300ms"}"#;
    platform.inline(hang, "x").await.bad(504);
    platform.inline("write-in-secret", "x").await.says(400, "pure");
    platform.inline("trim,write-in-secret", "x").await.bad(400);
    platform.unharmed(&before).await;

    // A write before the step that fails is undone as well.
    let chain = r#"[{"operator":"put","settings":{"key":"half"}},{"operator":"increment","settings":{"key":"n"}},"fail"]"#;
    for _ in 0..3 {
        platform.inline(chain, "x").await.bad(422);
    }
    let retried = format!(r#"{{"steps":{chain},"retries":3}}"#);
    platform.inline(&retried, "x").await.bad(422);
    platform.unharmed(&before).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_blocks_its_thread_does_not_stop_the_worker() {
    let mut platform = Platform::of(1, 1).await;
    let before = platform.everything().await;
    let block = r#"{"steps":["block"],"step_timeout":"300ms"}"#;
    platform.inline(block, "x").await.says(504, "block");
    // More of them than a machine has threads.
    let many = (0..8).map(|_| platform.inline(block, "x"));
    for answer in futures_util::future::join_all(many).await {
        answer.bad(504);
    }
    platform.unharmed(&before).await;
    // Others of its kind run as well.
    assert_eq!(platform.inline("trace", "x").await.good(), "none");
    let_go();
    platform.stop().await;
}
