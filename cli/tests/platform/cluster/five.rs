//! Five nodes, each with every partition: two of them may be lost.

use super::records;
use crate::support::Trio;
use catena_client::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_replicas_outlive_the_loss_of_two() {
    let mut trio = Trio::of(5).await;
    let client = Client::connect(trio.platform.nats.settings()).await.unwrap();
    let count = r#"[{"operator":"increment","settings":{"key":"count"}},"uppercase"]"#;
    trio.platform.chain("count", count).await;
    trio.all_vote().await;
    records::write(&client, "before").await;
    trio.platform.ask("catena.run.count", &[], "one").await.good();

    trio.kill(0).await;
    trio.kill(3).await;
    records::read(&client, "before").await;
    records::write(&client, "after").await;
    let queued = trio.platform.ask("catena.submit.count", &[], "two").await.json();
    let ended = trio.platform.ended(queued["job"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "committed", "{ended}");
    assert_eq!(trio.platform.number("count").await, 2);

    trio.start_again(0);
    trio.start_again(3);
    trio.all_vote().await;
    trio.kill(1).await;
    trio.kill(2).await;
    records::read(&client, "before").await;
    records::read(&client, "after").await;
    trio.stop().await;
}
