//! Three servers: one cluster when started, with buckets that have three replicas.
#![allow(clippy::unwrap_used, reason = "a test")]

use async_nats::jetstream;
use catena_nats_server::ServerCluster;
use catena_testing::within;

#[tokio::test]
async fn three_servers_keep_a_bucket_of_three_replicas_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = within(60, "a cluster", ServerCluster::start(folder.path(), 3)).await.unwrap();
    assert_eq!(cluster.servers().len(), 3);

    // Asked once, without trying again: the leader is there.
    let written_through = async_nats::connect(cluster.servers()[0].url()).await.unwrap();
    let config =
        jetstream::kv::Config { bucket: "three".to_owned(), num_replicas: 3, ..Default::default() };
    let bucket = jetstream::new(written_through).create_key_value(config).await.unwrap();
    let revision = bucket.put("a", "one".into()).await.unwrap();

    let other = async_nats::connect(cluster.servers()[2].url()).await.unwrap();
    let same = jetstream::new(other).get_key_value("three").await.unwrap();
    let peers = same.status().await.unwrap().info.cluster.unwrap().replicas.len();
    assert_eq!(peers, 2, "followers of the bucket");
    same.update("a", "two".into(), revision).await.unwrap();
    bucket.update("a", "three".into(), revision).await.unwrap_err();
    assert!(cluster.received().await.unwrap() > 0);
    cluster.stop().await;
}
