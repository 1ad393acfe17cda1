//! `catena cluster status`

use super::survey::Survey;
use crate::client::link;
use crate::failure::Failure;
use crate::output;
use catena_link::{Link, Settings};
use catena_protocol::message::status::NodeStatus;
use clap::Args;
use futures_util::StreamExt;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// Show nodes, partitions, primaries and how far replicas lag, and say in words what is wrong.
///
/// Exit code 1 if something is wrong. Every storage node answers for itself; one that does not
/// within the time is taken for unreachable.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// How long to wait for nodes that do not answer
    #[arg(long, value_name = "TIME", default_value = "1s")]
    wait: humantime::Duration,

    /// Show every partition, not only each node
    #[arg(long)]
    partitions: bool,

    /// Print a JSON object with `nodes`, `partitions` and `problems`
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, settings: Settings) -> Result<ExitCode, Failure> {
        let link = link(settings).await?;
        let survey = Survey::new(ask_all(&link, self.wait.into()).await?);
        if survey.nodes.is_empty() {
            return Err(Failure::new(
                "no storage node answers; start one with `catena storage`, or compare the NATS \
                 server and the prefix",
            ));
        }
        let problems = survey.problems();
        if self.json {
            output::line(json!({
                "cluster": survey.cluster(),
                "nodes": survey.nodes_as_json(),
                "partitions": survey.partitions_as_json(),
                "problems": problems,
            }))?;
        } else {
            output::table(&survey.node_rows())?;
            if self.partitions {
                output::table(&survey.partition_rows())?;
            }
            for problem in &problems {
                output::line(problem)?;
            }
            if problems.is_empty() {
                output::line("everything is well")?;
            }
        }
        Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The answers of all nodes, or of those that answer in time.
async fn ask_all(link: &Link, wait: Duration) -> Result<Vec<NodeStatus>, Failure> {
    let inbox = link.client.new_inbox();
    let mut answers = link.client.subscribe(inbox.clone()).await.map_err(Failure::new)?;
    let subject = link.subjects.cluster_status();
    link.client.publish_with_reply(subject, inbox, "".into()).await.map_err(Failure::new)?;
    let mut nodes: Vec<NodeStatus> = Vec::new();
    let all = async {
        while let Some(message) = answers.next().await {
            // The server says so when there is nobody.
            let Ok(node) = serde_json::from_slice::<NodeStatus>(&message.payload) else { break };
            let members = node.cluster.members.len();
            nodes.retain(|known| known.member != node.member);
            nodes.push(node);
            if nodes.len() >= members.max(1) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(wait, all).await;
    nodes.sort_by(|a, b| a.member.cmp(&b.member));
    Ok(nodes)
}
