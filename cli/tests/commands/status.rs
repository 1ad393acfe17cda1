//! `catena status`

use super::setup::{Setup, catena};
use catena_testing::NatsServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_is_shown_with_its_load() {
    let setup = Setup::start().await;
    setup.good(&["run", "--inline", "echo", "x"]).await;
    let text = setup.good(&["status"]).await;
    for service in
        ["scheduler scheduler-1", "worker worker-1", "worker worker-2", "storage storage-1"]
    {
        assert!(text.contains(service), "{service}: {text}");
    }
    let status = setup.json(&["status", "--json"]).await;
    let count = |role: &str| status[role].as_array().unwrap().len();
    assert_eq!((count("schedulers"), count("workers"), count("storage")), (1, 2, 1));
    let worker = &status["workers"][0];
    assert_eq!((&worker["role"], &worker["id"]), (&"worker".into(), &"worker-1".into()));
    assert!(worker["load"]["outstanding"].is_u64() && worker["load"]["done"].is_u64(), "{worker}");
    assert!(worker["uptime_s"].as_f64() > Some(0.0) && worker["version"].is_string());
    assert!(status["schedulers"][0]["endpoints"][0]["requests"].is_u64());
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named() {
    let nats = NatsServer::start().await;
    let said = catena(&["--server", nats.url(), "status"], b"").await;
    assert_eq!(said.code, 1, "{said:?}");
    for role in ["scheduler", "worker", "storage"] {
        assert!(said.err.contains(&format!("start one with `catena {role}`")), "{said:?}");
    }
    let other = catena(&["--server", nats.url(), "run", "--inline", "echo", "x"], b"").await;
    assert_eq!(other.code, 1, "{other:?}");
}
