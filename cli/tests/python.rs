//! The service operators of the documentation: a few lines of Python that answer a NATS subject.
//!
//! `make test` gets the NATS client for Python and says so in `CATENA_NATS_PY`; without it, as
//! under a bare `cargo test`, the test is skipped if Python has no such module.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use catena_cli::cluster::{Cluster, Plan};
use catena_client::Client;
use catena_link::connect;
use catena_testing::within;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/examples");

/// Whether the test can be done; must be, where the client for Python was got for it.
async fn python_knows_nats() -> bool {
    if std::env::var_os("CATENA_NATS_PY").is_some() {
        return true;
    }
    let import = Command::new("python3").args(["-c", "import nats"]).output().await;
    let known = import.is_ok_and(|import| import.status.success());
    if !known {
        println!("skipped: python3 has no module `nats`; `make test` gets it");
    }
    known
}

async fn start_example(url: &str, name: &str) -> Child {
    let mut service = Command::new("python3")
        .arg(format!("{EXAMPLES}/{name}.py"))
        .env("NATS_URL", url)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(service.stdout.take().unwrap()).lines();
    let line = within(20, "the example says that it is ready", lines.next_line()).await;
    assert_eq!(line.unwrap().as_deref(), Some("ready"));
    service
}

async fn catena_says(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catena"));
    command.args(["--server", url]).args(arguments).output().await.unwrap()
}

async fn catena(url: &str, arguments: &[&str]) -> String {
    let output = catena_says(url, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_python_is_an_operator() {
    if !python_knows_nats().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Plan::new(folder.path())).await.unwrap();
    let url = cluster.settings().servers().unwrap().join(",");
    let mut service = start_example(&url, "enrich").await;
    catena(&url, &["operators", "set", "enrich", "--subject", "my.enrich"]).await;
    let order = r#"{"price": 4, "count": 3}"#;
    let enriched = catena(&url, &["run", "--inline", "enrich", order]).await;
    let enriched: serde_json::Value = serde_json::from_str(&enriched).unwrap();
    assert_eq!(enriched["total"], 12);
    let wrong = catena_says(&url, &["run", "--inline", "enrich", "hello"]).await;
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success() && said.contains("JSONDecodeError"), "{said}");

    service.kill().await.unwrap();
    let link = connect(cluster.settings().clone(), "test", false).await.unwrap();
    let client = Client::over(link).await.unwrap();
    let gone = client.run_inline("enrich", order).await.unwrap_err();
    assert!(gone.to_string().contains("my.enrich"), "{gone}");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_python_reads_and_writes_as_a_part_of_its_job() {
    if !python_knows_nats().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Plan::new(folder.path())).await.unwrap();
    let url = cluster.settings().servers().unwrap().join(",");
    let _service = start_example(&url, "reserve").await;
    let set = ["operators", "set", "reserve", "--subject", "my.reserve", "--effect", "writing"];
    catena(&url, &set).await;
    catena(&url, &["kv", "put", "stock.apple", "5"]).await;
    let order = r#"{"item": "apple", "count": 3}"#;
    let run = ["run", "--inline", "reserve", order, "--json"];
    let first: serde_json::Value = serde_json::from_str(&catena(&url, &run).await).unwrap();
    assert!(first["result"].as_str().unwrap().contains(r#""left": 2"#), "{first}");
    for (key, value) in [("stock.apple", "2"), ("reserved", "3")] {
        let found = catena(&url, &["kv", "get", key, "--json"]).await;
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        assert_eq!((&found["value"], &found["version"]), (&value.into(), &first["version"]));
    }
    let second = catena_says(&url, &run).await;
    let said = String::from_utf8(second.stdout).unwrap();
    assert!(!second.status.success() && said.contains("sold out: 2 left"), "{said}");
    assert_eq!(catena(&url, &["kv", "get", "stock.apple"]).await, "2");
    cluster.stop().await.unwrap();
}
