//! Servers that are not there, and credentials that are wrong.

use crate::support::{Platform, Process, eventually};
use catena_link::Settings;
use catena_testing::{NatsServer, within};
use std::time::Duration;

const AUTH: &str = "authorization { user: catena, password: secret }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_end_a_service_with_a_clear_error() {
    let nats = NatsServer::start_with(AUTH).await;
    let data = nats.folder().join("data");
    let data = data.to_str().unwrap();
    let wrong = nats.url().replace("nats://", "nats://catena:wrong@");
    for url in [nats.url(), wrong.as_str()] {
        for role in [&["scheduler"][..], &["worker"], &["storage", "--data", data]] {
            let log = nats.folder().join(format!("{}.log", role[0]));
            let mut process = Process::start(log, &[&["--server", url], role].concat());
            let status = process.ended(20).await;
            assert_eq!(status.code(), Some(1), "{role:?}: {}", process.log());
            let said = process.log();
            assert!(said.to_lowercase().contains("authorization"), "{role:?}: {said}");
            assert!(!said.contains("wrong@"), "a password was logged: {said}");
        }
        let error = catena_client::Client::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), catena_client::ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains("authorization"), "{error}");
    }
    let right = nats.url().replace("nats://", "nats://catena:secret@");
    catena_client::Client::connect(right.as_str()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_wait_for_a_server_that_is_not_there_yet() {
    let mut nats = NatsServer::start().await;
    nats.kill().await;
    let folder = nats.folder().to_owned();
    let data = folder.join("data");
    let data = data.to_str().unwrap();
    let roles = [&["scheduler"][..], &["worker"], &["storage", "--data", data]];
    let mut processes = Vec::new();
    for role in roles {
        let log = folder.join(format!("{}.log", role[0]));
        processes.push(Process::start(log, &[&["--server", nats.url()], role].concat()));
    }
    for process in &processes {
        eventually(20, "a line that says so", async || {
            process.log().contains("NATS cannot be reached; trying again").then_some(())
        })
        .await;
    }
    let error = catena_client::Client::connect(nats.settings()).await.unwrap_err();
    assert_eq!(error.kind(), catena_client::ErrorKind::Connect, "{error}");

    nats.start_again().await;
    let client = within(10, "a connection", catena_client::Client::connect(nats.settings()));
    let client = client.await.unwrap();
    let result = eventually(20, "a result", async || {
        client.run_inline("trim,uppercase", " hello ").timeout(Duration::from_secs(2)).await.ok()
    })
    .await;
    assert_eq!(result.text().unwrap(), "HELLO");
    client.store().write("a", "b").await.unwrap();
    for process in &mut processes {
        process.signal("TERM").await;
        let status = process.ended(20).await;
        assert_eq!(status.code(), Some(0), "{}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_waits_can_be_stopped() {
    let mut nats = NatsServer::start().await;
    nats.kill().await;
    let data = nats.folder().join("data");
    let data = data.to_str().unwrap();
    for role in [&["scheduler"][..], &["worker"], &["storage", "--data", data]] {
        let log = nats.folder().join(format!("{}.log", role[0]));
        let mut process = Process::start(log, &[&["--server", nats.url()], role].concat());
        eventually(20, "a line that says so", async || {
            process.log().contains("NATS cannot be reached; trying again").then_some(())
        })
        .await;
        process.signal("TERM").await;
        let status = process.ended(10).await;
        assert_eq!(status.code(), Some(0), "{role:?}: {}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_permissions_says_so() {
    let nats = NatsServer::start_with(
        "authorization { users: [{ user: a, password: a, permissions: { publish: \">\", \
         subscribe: \"_INBOX.>\" } }] }",
    )
    .await;
    let url = nats.url().replace("nats://", "nats://a:a@");
    let log = nats.folder().join("worker.log");
    let process = Process::start(log, &["--server", &url, "worker"]);
    eventually(20, "a line that says so", async || {
        process.log().contains("check this user's permissions").then_some(())
    })
    .await;
    process.kill().await;
    let settings = Settings { url: Some(url), ..Settings::default() };
    let client = catena_client::Client::connect(settings).await.unwrap();
    let run = client.run_inline("echo", "x").timeout(Duration::from_secs(2)).into_future();
    within(10, "an answer", run).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_storage_node_on_the_same_folder_is_refused() {
    let platform = Platform::start().await;
    let folder = platform.nats.folder().join("catena").join("storage-1");
    let log = platform.nats.folder().join("second.log");
    let arguments =
        ["--server", platform.nats.url(), "storage", "--data", folder.to_str().unwrap()];
    let mut process = Process::start(log, &arguments);
    let status = process.ended(20).await;
    assert_ne!(status.code(), Some(0), "{}", process.log());
    assert!(process.log().contains("storage-1"), "{}", process.log());
    platform.still_works().await;
    platform.stop().await;
}
