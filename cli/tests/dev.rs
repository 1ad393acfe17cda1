//! `catena dev` from start to end, as a person in a terminal has it.

#![allow(clippy::unwrap_used, reason = "a test")]

use catena_client::Client;
use catena_testing::within;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};

struct Dev {
    process: Child,
    errors: Lines<BufReader<ChildStderr>>,
    url: String,
    greeting: String,
    folder: tempfile::TempDir,
}

impl Dev {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_catena"))
            .args(["dev", "--nats-port", "0", "--data"])
            .arg(folder.path())
            .args(arguments)
            .env_remove("NATS_URL")
            .env("XDG_CONFIG_HOME", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        let url = within(30, "dev says where NATS is", async {
            loop {
                let line = lines.next_line().await.unwrap().unwrap();
                greeting += &line;
                if let Some(at) = line.find("nats://") {
                    return line[at..].trim().to_owned();
                }
            }
        })
        .await;
        let errors = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, errors, url, greeting, folder }
    }

    async fn interrupt(&self) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    }

    async fn says(&mut self, part: &str) {
        within(20, part, async {
            let mut said = String::new();
            while !said.contains(part) {
                let line = self.errors.next_line().await.unwrap();
                said += &line.unwrap_or_else(|| panic!("dev ended and said only: {said}"));
            }
        })
        .await;
    }

    async fn ended(&mut self) -> ExitStatus {
        within(30, "dev ends", self.process.wait()).await.unwrap()
    }

    async fn nats_is_gone(&self) {
        let address = self.url.strip_prefix("nats://").unwrap();
        within(10, "NATS ends with it", async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_drains_and_ends_everything() {
    let mut dev = Dev::start().await;
    let client = Client::connect(dev.url.as_str()).await.unwrap();
    let result = client.run_inline("trim,uppercase", " hello ").await.unwrap();
    assert_eq!(result.text().unwrap(), "HELLO");
    dev.interrupt().await;
    assert!(dev.ended().await.success());
    dev.nats_is_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_storage_nodes_found_one_cluster() {
    let mut dev = Dev::start_with(&["--storage", "3"]).await;
    assert!(dev.greeting.contains("3 storage node(s)"), "{}", dev.greeting);
    let identity = |n| {
        let path = dev.folder.path().join(format!("storage-{n}")).join("identity");
        std::fs::read_to_string(path).unwrap()
    };
    let about = |n, part: &str| -> Vec<String> {
        let lines = identity(n);
        lines.lines().filter(|line| line.starts_with(part)).map(str::to_owned).collect()
    };
    assert_eq!(about(1, "node "), ["node storage-1"]);
    assert_eq!(about(1, "replicas "), ["replicas 3"]);
    for part in ["cluster ", "member "] {
        assert_eq!(about(1, part), about(2, part));
        assert_eq!(about(1, part), about(3, part));
    }
    assert_eq!(about(1, "member ").len(), 3);
    dev.interrupt().await;
    assert!(dev.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_everything_at_once() {
    let mut dev = Dev::start().await;
    let client = Client::connect(dev.url.as_str()).await.unwrap();
    let slow = r#"[{"operator": "sleep", "settings": {"for": "1h"}}]"#;
    let job = client.submit_inline(slow, "x").await.unwrap();
    within(20, "the job runs", async {
        while !format!("{:?}", client.status(job).await).to_lowercase().contains("running") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    dev.interrupt().await;
    dev.says("again to stop at once").await;
    dev.interrupt().await;
    assert_eq!(dev.ended().await.code(), Some(130));
    dev.nats_is_gone().await;
}
