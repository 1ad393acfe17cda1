//! The server itself: ready when started, the same after a crash.

use catena_testing::{NatsServer, within};

#[tokio::test]
async fn it_answers_and_comes_back_on_the_same_port() {
    let mut server = NatsServer::start().await;
    let link = server.connect("test").await;
    let mut subscriber = link.client.subscribe("a").await.unwrap();
    link.client.publish("a", "one".into()).await.unwrap();
    assert!(within(5, "a message", futures_util::StreamExt::next(&mut subscriber)).await.is_some());
    let url = server.url().to_owned();
    server.kill().await;
    server.start_again().await;
    assert_eq!(server.url(), url);
    within(10, "a message after the restart", async {
        link.client.flush().await.unwrap();
        let again = server.connect("again").await;
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tokio::select! {
                _ = ticks.tick() => again.client.publish("a", "two".into()).await.unwrap(),
                message = futures_util::StreamExt::next(&mut subscriber) => {
                    assert_eq!(message.unwrap().payload, "two");
                    break;
                }
            }
        }
    })
    .await;
}
