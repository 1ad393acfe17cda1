//! Requests that a person gets wrong.

use crate::support::Platform;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_are_answered_with_what_is_wrong() {
    let mut platform = Platform::start().await;
    platform.ask("catena.storage.write.kept", &[], "as it was").await.good();
    let before = platform.everything().await;
    let big = "x".repeat(600 * 1024);
    let many = vec!["echo"; 65].join(",");
    for (subject, headers, body, code, part) in [
        ("catena.run.nope", vec![], "x", 404, "`nope`"),
        ("catena.run.no$name", vec![], "x", 400, "no$name"),
        ("catena.run.inline", vec![], "x", 400, "Catena-Chain"),
        ("catena.run.inline", vec![("Catena-Chain", "")], "x", 400, ""),
        ("catena.run.inline", vec![("Catena-Chain", "[]")], "x", 400, "1 to 64"),
        ("catena.run.inline", vec![("Catena-Chain", many.as_str())], "x", 400, "65"),
        ("catena.run.inline", vec![("Catena-Chain", "echo,nope")], "x", 404, "`nope`"),
        ("catena.run.inline", vec![("Catena-Chain", "echo,,echo")], "x", 400, "name"),
        ("catena.run.inline", vec![("Catena-Chain", "{\"steps\":5}")], "x", 400, "sequence"),
        (
            "catena.run.inline",
            vec![("Catena-Chain", r#"[{"operator":"put","settings":{"kee":1}}]"#)],
            "x",
            400,
            "kee",
        ),
        (
            "catena.run.inline",
            vec![("Catena-Chain", r#"[{"operator":"echo","settings":"text"}]"#)],
            "x",
            400,
            "",
        ),
        ("catena.run.inline", vec![("Catena-Chain", "echo")], big.as_str(), 413, "614400"),
        ("catena.submit.inline", vec![("Catena-Chain", "echo")], big.as_str(), 413, "614400"),
        (
            "catena.run.inline",
            vec![("Catena-Chain", "echo"), ("Catena-Timeout", "soon")],
            "x",
            400,
            "Catena-Timeout",
        ),
        (
            "catena.run.inline",
            vec![("Catena-Chain", "echo"), ("Catena-Job", "seven")],
            "x",
            400,
            "seven",
        ),
        ("catena.submit.nope", vec![], "x", 404, "`nope`"),
        ("catena.submit.inline", vec![("Catena-Chain", "echo,nope")], "x", 404, "`nope`"),
    ] {
        let answer = platform.ask(subject, &headers, body.to_owned()).await;
        let message = answer.bad(code);
        assert!(message.contains(part), "{subject} {headers:?}: `{part}` in `{message}`");
    }
    let key = "k".repeat(600);
    for name in ["Nats-Msg-Id", "Catena-Key"] {
        let headers = [("Catena-Chain", "echo"), (name, key.as_str())];
        platform.ask("catena.run.inline", &headers, "x").await.says(413, name);
    }
    // Text operators refuse what is no text; others take any bytes, and none.
    platform.inline("uppercase", vec![0xff, 0xfe]).await.says(422, "UTF-8");
    platform.inline("word-count", vec![0xc3, 0x28]).await.bad(422);
    platform
        .inline(r#"[{"operator":"jq","settings":{"filter":"."}}]"#, "")
        .await
        .says(422, "empty");
    platform.inline("uppercase", "").await.good();
    platform.unharmed(&before).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_64_steps_runs() {
    let platform = Platform::start().await;
    let chain = vec!["echo"; 64].join(",");
    assert_eq!(platform.inline(&chain, "x").await.good(), "x");
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_timeouts_are_kept() {
    let platform = Platform::start().await;
    for timeout in ["0", "0ms", "1ms"] {
        let sleep = r#"[{"operator":"sleep","settings":{"for":"700ms"}}]"#;
        let headers = [("Catena-Chain", sleep), ("Catena-Timeout", timeout)];
        let began = Instant::now();
        platform.ask("catena.run.inline", &headers, "x").await.bad(504);
        assert!(began.elapsed() < Duration::from_secs(1), "{timeout}: {:?}", began.elapsed());
    }
    let headers = [("Catena-Chain", "echo"), ("Catena-Timeout", "1000000000")];
    assert_eq!(platform.ask("catena.run.inline", &headers, "x").await.good(), "x");
    platform.stop().await;
}
