//! The service operator of the documentation: a few lines of Python that answer a NATS subject.
//!
//! `make test` gets the NATS client for Python and says so in `CATENA_NATS_PY`; without it, as
//! under a bare `cargo test`, the test is skipped if Python has no such module.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use catena_cli::cluster::{Cluster, Plan};
use catena_client::Client;
use catena_link::connect;
use catena_testing::within;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/examples/enrich.py");

async fn python_knows_nats() -> bool {
    let import = Command::new("python3").args(["-c", "import nats"]).output().await;
    import.is_ok_and(|import| import.status.success())
}

async fn start_example(url: &str) -> Child {
    let mut service = Command::new("python3")
        .arg(EXAMPLE)
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

async fn catena(url: &str, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_catena"))
        .args(["--server", url])
        .args(arguments)
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_python_is_an_operator() {
    if std::env::var_os("CATENA_NATS_PY").is_none() && !python_knows_nats().await {
        println!("skipped: python3 has no module `nats`; `make test` gets it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(Plan::new(folder.path())).await.unwrap();
    let url = cluster.settings().servers().unwrap().join(",");
    let mut service = start_example(&url).await;
    catena(&url, &["operators", "set", "enrich", "--subject", "my.enrich"]).await;
    let order = r#"{"price": 4, "count": 3}"#;
    let enriched = catena(&url, &["run", "--inline", "enrich", order]).await;
    let enriched: serde_json::Value = serde_json::from_str(&enriched).unwrap();
    assert_eq!(enriched["total"], 12);

    service.kill().await.unwrap();
    let link = connect(cluster.settings().clone(), "test", false).await.unwrap();
    let client = Client::over(link).await.unwrap();
    let gone = client.run_inline("enrich", order).await.unwrap_err();
    assert!(gone.to_string().contains("my.enrich"), "{gone}");
    cluster.stop().await.unwrap();
}
