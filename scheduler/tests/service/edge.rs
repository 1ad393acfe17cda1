use crate::cluster::{Cluster, code, json, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inline_chain_runs_right_after_the_start() {
    let cluster = Cluster::start(1, 2).await;
    let answer =
        cluster.ask("catena.run.inline", &[("Catena-Chain", "trim,uppercase")], " hello ").await;
    assert_eq!((text(&answer), code(&answer)), ("HELLO", None));
    assert!(answer.headers.as_ref().unwrap().get("Catena-Job").is_some());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_was_set_runs_on_every_scheduler_at_once() {
    let cluster = Cluster::start(3, 2).await;
    for n in 0..10 {
        let set = format!("catena.chain.shout-{n}.set");
        let answer = cluster.ask(&set, &[], "trim,uppercase").await;
        assert_eq!(json(&answer)["chain"], format!("shout-{n}"), "{}", text(&answer));
        for _ in 0..5 {
            let answer = cluster.ask(&format!("catena.run.shout-{n}"), &[], "hi").await;
            assert_eq!(text(&answer), "HI");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_and_good_jobs_still_run() {
    let cluster = Cluster::start(1, 1).await;
    let inline = |chain: &'static str| [("Catena-Chain", chain)];
    let big = "x".repeat(600 * 1024);
    let long = ["echo"; 65].join(",");
    for (subject, headers, body, expected) in [
        ("catena.run.nope", &[][..], "", "404"),
        ("catena.submit.nope", &[], "", "404"),
        ("catena.run.inline", &[], "", "400"),
        ("catena.run.inline", &inline("upercase"), "", "404"),
        ("catena.run.inline", &inline(""), "", "400"),
        ("catena.run.inline", &inline("echo"), &big, "413"),
        ("catena.run.inline", &[("Catena-Chain", &long)], "", "400"),
        ("catena.run.inline", &[("Catena-Chain", "echo"), ("Catena-Timeout", "soon")], "", "400"),
        ("catena.run.inline", &[("Catena-Chain", "echo"), ("Catena-After", "x")], "", "400"),
        ("catena.run.inline", &[("Content-Type", "application/cbor")], "not cbor", "400"),
        ("catena.chain.bad.set", &[], "upercase", "404"),
        ("catena.chain.bad.set", &[], "{", "400"),
        ("catena.chain.inline.set", &[], "echo", "400"),
        ("catena.operator.bad.set", &[], "a..b", "400"),
        ("catena.operator.echo.set", &[], "my.echo", "409"),
        ("catena.job.nope.status", &[], "", "400"),
    ] {
        let answer = cluster.ask(subject, headers, body).await;
        assert_eq!(code(&answer).as_deref(), Some(expected), "{subject}: {}", text(&answer));
        assert_eq!(json(&answer)["error"]["code"].to_string(), expected);
    }
    let near = cluster.ask("catena.chain.bad.set", &[], "upercase").await;
    assert!(text(&near).contains("`uppercase`"), "{}", text(&near));
    let answer = cluster.ask("catena.run.inline", &inline("echo"), "still here").await;
    assert_eq!(text(&answer), "still here");
    cluster.stop().await;
}
