//! `catena demo`: it passes, and leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_protocol::subject::{CHAINS, CLUSTER, JOBS, OPERATORS};
use catena_testing::{NatsServer, within};
use futures_util::TryStreamExt;
use serde_json::Value;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

async fn demo(arguments: &[&str], folder: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
    // An address that is in the environment is not for the demo.
    command.env("NATS_URL", "nats://127.0.0.1:1").env("TMPDIR", folder);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    within(120, "the end of the demo", command.output()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_found_is_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(&["demo", "--seconds", "1", "--json"], folder.path()).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    for (phase, name) in [(0, "words"), (1, "shop"), (2, "store")] {
        let phase = &report["phases"][phase];
        assert_eq!(phase["name"], name);
        assert!(phase["jobs"].as_u64() > Some(300) && phase["jobs_per_s"].as_f64() > Some(0.0));
        assert!(phase["p50_us"].as_u64() <= phase["p99_us"].as_u64());
        assert!(phase["checks"].as_array().unwrap().len() >= 4, "{phase}");
    }
    assert_eq!(report["spread"]["steps"].as_object().unwrap().len(), 4);
    assert!(report["spread"]["max_deviation"].as_f64() < Some(0.05), "{report}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_lent_is_given_back_as_it_was() {
    let nats = NatsServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("kept");
    let arguments = ["demo", "--server", nats.url(), "--data", data.to_str().unwrap()];
    let few = ["--seconds", "0", "--workers", "1", "--schedulers", "1"];
    let output = demo(&[&arguments[..], &few].concat(), folder.path()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{error}");
    assert_eq!(text.matches("storage-2 was gone from").count(), 2, "{text}");
    assert!(text.contains("all 19 checks hold") && text.contains("jobs/s, p50"), "{text}");
    assert!(data.join("storage-1").is_dir(), "the data are kept where they were wanted");
    let link = nats.connect("test").await;
    let context = async_nats::jetstream::new(link.client.clone());
    let streams: Vec<String> = context.stream_names().try_collect().await.unwrap();
    assert!(streams.is_empty(), "{streams:?}");
    for bucket in [CHAINS, OPERATORS, CLUSTER] {
        assert!(context.get_key_value(bucket).await.is_err());
    }
    assert!(context.get_stream(JOBS).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
    command.args(["demo", "--seconds", "60"]).env("TMPDIR", folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = said.next_line().await.unwrap() {
            if line.starts_with("ready") {
                return;
            }
        }
        panic!("it never became ready");
    };
    within(60, "a cluster", ready).await;
    assert_eq!(processes_in(folder.path()), 2, "its NATS server and a storage node");
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let ended = within(60, "its end", child.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(130));
    assert_eq!(processes_in(folder.path()), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Processes that have this folder in their arguments.
fn processes_in(folder: &std::path::Path) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let folder = folder.to_str().unwrap();
    arguments.filter(|text| String::from_utf8_lossy(text).contains(folder)).count()
}

#[tokio::test]
async fn nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["demo", "--workers", "0"][..], &["demo", "--seconds", "long"]] {
        let output = demo(arguments, folder.path()).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let unreachable = ["demo", "--server", "nats://127.0.0.1:1"];
    let output = demo(&unreachable, folder.path()).await;
    assert_eq!(output.status.code(), Some(1));
}
