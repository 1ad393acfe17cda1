//! Founding on a real NATS server, with real directories.

use super::*;
use async_nats::Subscriber;
use async_nats::jetstream;
use catena_protocol::message::founding::Announcement;
use catena_protocol::{limit, subject};
use catena_testing::{NatsServer, within};
use futures_util::StreamExt;
use std::path::PathBuf;
use tokio::task::JoinHandle;

/// A node that knows who it is.
struct Up {
    found: Found,
    directory: DataDirectory,
}

type Starting = JoinHandle<Result<Up, Error>>;

fn start(config: Config, server: &NatsServer) -> Starting {
    let settings = server.settings();
    tokio::spawn(async move {
        let directory = DataDirectory::take(&config.data)?;
        let found = find(&config, &directory, settings).await?;
        Ok(Up { found, directory })
    })
}

async fn ended(starting: Starting) -> Result<Up, Error> {
    within(30, "a node knows who it is", starting).await.unwrap()
}

async fn refused(starting: Starting) -> Error {
    ended(starting).await.err().unwrap()
}

fn folder(server: &NatsServer, id: &str) -> PathBuf {
    server.folder().join(id)
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn config(server: &NatsServer, id: &str) -> Config {
    Config { id: Some(node(id)), ..Config::new(folder(server, id)) }
}

/// One of `a`, `b` and `c`.
fn named(server: &NatsServer, id: &str) -> Config {
    let founders = Some(Founders::Named(["a", "b", "c"].map(node).into()));
    Config { founders, ..config(server, id) }
}

async fn all(starting: [Starting; 3]) -> [Up; 3] {
    let [a, b, c] = starting;
    [ended(a).await.unwrap(), ended(b).await.unwrap(), ended(c).await.unwrap()]
}

async fn founded(server: &NatsServer) -> [Up; 3] {
    all(["a", "b", "c"].map(|id| start(named(server, id), server))).await
}

async fn recorded(server: &NatsServer) -> Option<Cluster> {
    cluster::known(&server.connect("looking").await).await
}

async fn lose_bucket(server: &NatsServer) {
    let link = server.connect("losing").await;
    jetstream::new(link.client).delete_key_value(subject::CLUSTER).await.unwrap();
}

fn empty(server: &NatsServer, id: &str) {
    std::fs::remove_dir_all(folder(server, id)).unwrap();
}

fn has_identity(server: &NatsServer, id: &str) -> bool {
    folder(server, id).join("identity").exists()
}

/// What nodes without a cluster say.
struct Overheard(Subscriber);

impl Overheard {
    async fn on(server: &NatsServer) -> Self {
        let link = server.connect("listening").await;
        let heard = link.client.subscribe(link.subjects.founding()).await.unwrap();
        link.client.flush().await.unwrap();
        Self(heard)
    }

    /// Waits for `count` announcements of `id` and returns the last.
    async fn of(&mut self, id: &str, count: usize) -> Announcement {
        let mut left = count;
        within(20, "announcements", async {
            loop {
                let message = self.0.next().await.unwrap();
                let announcement: Announcement = codec::decode(&message.payload).unwrap();
                left -= usize::from(announcement.member.node.as_str() == id);
                if left == 0 {
                    return announcement;
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn three_empty_nodes_found_one_cluster() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    let cluster = nodes[0].found.cluster.clone();
    assert_eq!((cluster.partitions, cluster.replicas), (limit::PARTITIONS, 3));
    let members: Vec<Member> = nodes.iter().map(|node| node.found.owner.member()).collect();
    assert_eq!(cluster.members, members);
    for node in &nodes {
        assert_eq!(node.found.cluster, cluster);
        assert_eq!(node.found.owner.cluster(), cluster);
        assert_eq!(node.directory.owner().unwrap().as_ref(), Some(&node.found.owner));
        assert_eq!(node.directory.candidate().unwrap(), None);
    }
    assert_eq!(recorded(&server).await, Some(cluster.clone()));

    drop(nodes);
    let again = founded(&server).await;
    assert!(again.iter().all(|node| node.found.cluster == cluster));
    let again: Vec<Member> = again.iter().map(|node| node.found.owner.member()).collect();
    assert_eq!(again, members, "ids and disks stay");
}

#[tokio::test]
async fn so_many_as_were_asked_for_found_a_cluster_and_no_more() {
    let server = NatsServer::start().await;
    let counted = |id: &str| {
        let founders = Some(Founders::Count(3));
        Config { founders, partitions: 8, replicas: Some(1), ..config(&server, id) }
    };
    let nodes = all(["a", "b", "c"].map(|id| start(counted(id), &server))).await;
    let cluster = recorded(&server).await.unwrap();
    assert!(nodes.iter().all(|node| node.found.cluster == cluster));
    assert_eq!((cluster.partitions, cluster.replicas, cluster.members.len()), (8, 1, 3));

    let fourth = refused(start(counted("d"), &server)).await;
    assert!(matches!(&fourth, Error::NotAMember { members, .. } if members == "a, b, c"));
    assert!(!has_identity(&server, "d"));
    assert_eq!(recorded(&server).await, Some(cluster));
}

#[tokio::test]
async fn founding_waits_for_the_one_that_is_missing() {
    let server = NatsServer::start().await;
    let mut overheard = Overheard::on(&server).await;
    let a = start(named(&server, "a"), &server);
    let b = start(named(&server, "b"), &server);
    let stranger = start(named_stranger(&server), &server);
    overheard.of("x", 5).await;
    overheard.of("b", 5).await;
    overheard.of("a", 10).await;
    assert!(!a.is_finished() && !b.is_finished());
    assert_eq!(recorded(&server).await, None);

    let nodes = all([a, b, start(named(&server, "c"), &server)]).await;
    assert!(nodes.iter().all(|node| node.found.cluster == nodes[0].found.cluster));
    assert!(matches!(refused(stranger).await, Error::NotAMember { .. }));
}

/// Asks for a cluster of three as well, with other members.
fn named_stranger(server: &NatsServer) -> Config {
    let founders = Some(Founders::Named(["x", "y", "z"].map(node).into()));
    Config { founders, ..config(server, "x") }
}

#[tokio::test]
async fn a_founder_that_is_killed_founds_with_the_same_disk() {
    let server = NatsServer::start().await;
    let mut overheard = Overheard::on(&server).await;
    let a = start(named(&server, "a"), &server);
    let said = overheard.of("a", 1).await;
    a.abort();
    assert!(a.await.err().unwrap().is_cancelled());
    assert!(!has_identity(&server, "a"));

    let nodes = founded(&server).await;
    assert_eq!(nodes[0].found.owner.member(), said.member);
    assert!(nodes[1].found.cluster.members.contains(&said.member));
}

#[tokio::test]
async fn a_founder_that_was_killed_before_it_kept_the_record_takes_it_from_the_bucket() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    let cluster = nodes[1].found.cluster.clone();
    let member = nodes[1].found.owner.member();
    drop(nodes);
    // As it was one step earlier.
    let directory = DataDirectory::take(&folder(&server, "b")).unwrap();
    std::fs::remove_file(folder(&server, "b").join("identity")).unwrap();
    directory.set_candidate(&member).unwrap();
    drop(directory);

    let b = ended(start(named(&server, "b"), &server)).await.unwrap();
    assert_eq!((b.found.owner.member(), &b.found.cluster), (member, &cluster));
}

#[tokio::test]
async fn a_node_with_an_emptied_directory_takes_its_place_with_another_disk() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    let cluster = nodes[0].found.cluster.clone();
    let first_disk = nodes[2].found.owner.member().disk;
    drop(nodes);
    empty(&server, "c");
    let c = ended(start(named(&server, "c"), &server)).await.unwrap();
    assert_eq!(c.found.cluster, cluster, "the founding members stay what they were");
    let second_disk = c.found.owner.member().disk;
    assert_ne!(second_disk, first_disk);

    // It lives: whoever comes under its id with another directory is a mistake.
    let mut twin = named(&server, "c");
    twin.data = folder(&server, "twin");
    let error = refused(start(twin, &server)).await;
    assert!(matches!(error, Error::TwoDisks { .. }), "{error}");
    assert!(!has_identity(&server, "twin"));

    drop(c);
    let c = ended(start(named(&server, "c"), &server)).await.unwrap();
    assert_eq!(c.found.owner.member().disk, second_disk);
    assert_eq!(recorded(&server).await, Some(cluster));
}

#[tokio::test]
async fn two_empty_nodes_with_one_id_are_refused() {
    let server = NatsServer::start().await;
    let mut overheard = Overheard::on(&server).await;
    let first = start(named(&server, "a"), &server);
    overheard.of("a", 1).await;
    let second = start(Config { data: folder(&server, "other"), ..named(&server, "a") }, &server);
    for starting in [first, second] {
        let error = refused(starting).await;
        assert!(matches!(error, Error::TwoDisks { .. }), "{error}");
    }
    assert_eq!(recorded(&server).await, None);
}

#[tokio::test]
async fn a_node_whose_bucket_is_gone_puts_the_record_back() {
    let server = NatsServer::start().await;
    let cluster = founded(&server).await[0].found.cluster.clone();
    lose_bucket(&server).await;
    let b = ended(start(named(&server, "b"), &server)).await.unwrap();
    assert_eq!(b.found.cluster, cluster);
    assert_eq!(recorded(&server).await, Some(cluster));
}

#[tokio::test]
async fn with_the_bucket_gone_an_empty_node_waits_for_one_that_knows_the_cluster() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    let cluster = nodes[0].found.cluster.clone();
    let [a, b, c] = nodes;
    drop((b, c));
    empty(&server, "c");
    lose_bucket(&server).await;
    // One that runs tells it, and puts the record back.
    let c = ended(start(named(&server, "c"), &server)).await.unwrap();
    assert_eq!(c.found.cluster, cluster);
    assert_eq!(recorded(&server).await, Some(cluster.clone()));

    drop((a, c));
    empty(&server, "b");
    empty(&server, "c");
    lose_bucket(&server).await;
    let mut overheard = Overheard::on(&server).await;
    let b = start(named(&server, "b"), &server);
    let c = start(named(&server, "c"), &server);
    overheard.of("b", 5).await;
    overheard.of("c", 5).await;
    assert!(!b.is_finished() && !c.is_finished());
    assert_eq!(recorded(&server).await, None, "two of three found nothing");
    let nodes = all([start(named(&server, "a"), &server), b, c]).await;
    assert!(nodes.iter().all(|node| node.found.cluster == cluster));
}

#[tokio::test]
async fn a_node_alone_begins_no_cluster_beside_one_that_lives() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    lose_bucket(&server).await;
    let error = refused(start(config(&server, "alone"), &server)).await;
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
    assert_eq!(recorded(&server).await, Some(nodes[0].found.cluster.clone()));
}

#[tokio::test]
async fn somebody_who_only_listens_does_not_keep_a_node_alone_from_beginning() {
    let server = NatsServer::start_with("jetstream: false").await;
    let _tap = Overheard::on(&server).await;
    let alone = ended(start(config(&server, "alone"), &server)).await.unwrap();
    assert_eq!(alone.found.cluster.members, [alone.found.owner.member()]);
}

#[tokio::test]
async fn without_jetstream_one_node_begins_and_three_wait() {
    let server = NatsServer::start_with("jetstream: false").await;
    let alone = ended(start(config(&server, "alone"), &server)).await.unwrap();
    assert_eq!((alone.found.cluster.replicas, alone.found.cluster.members.len()), (1, 1));
    drop(alone);

    let mut overheard = Overheard::on(&server).await;
    let nodes = ["a", "b", "c"].map(|id| start(named(&server, id), &server));
    for id in ["a", "b", "c"] {
        overheard.of(id, 8).await;
    }
    assert!(nodes.iter().all(|node| !node.is_finished()));
    nodes.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn two_clusters_under_one_prefix_do_not_mix() {
    let server = NatsServer::start().await;
    let cluster = founded(&server).await[0].found.cluster.clone();
    lose_bucket(&server).await;
    let fresh =
        |id: &str| Config { data: folder(&server, &format!("{id}-2")), ..named(&server, id) };
    let second = all(["a", "b", "c"].map(|id| start(fresh(id), &server))).await;
    let other = second[0].found.cluster.clone();
    assert_ne!(other.id, cluster.id);

    let error = refused(start(named(&server, "a"), &server)).await;
    assert!(
        matches!(&error, Error::OtherCluster { theirs, ours: Some(ours), .. }
            if *theirs == other.id && *ours == cluster.id),
        "{error}"
    );
    assert_eq!(recorded(&server).await, Some(other));
}

#[tokio::test]
async fn the_only_copy_is_not_replaced_by_an_empty_disk() {
    let server = NatsServer::start().await;
    let pair = |id: &str| {
        let founders = Some(Founders::Named(["a", "b"].map(node).into()));
        Config { founders, ..config(&server, id) }
    };
    let (a, b) = (start(pair("a"), &server), start(pair("b"), &server));
    drop((ended(a).await.unwrap(), ended(b).await.unwrap()));
    empty(&server, "b");
    let error = refused(start(pair("b"), &server)).await;
    assert!(matches!(error, Error::OnlyCopy { .. }), "{error}");
    assert!(!has_identity(&server, "b"));
}

#[tokio::test]
async fn what_was_fixed_cannot_be_asked_to_be_otherwise() {
    let server = NatsServer::start().await;
    let nodes = founded(&server).await;
    drop(nodes);
    let named = || named(&server, "a");
    let four = Founders::Named(["a", "b", "c", "d"].map(node).into());
    let renamed = Founders::Named(["a", "b", "d"].map(node).into());
    for (change, wanted) in [
        (Config { id: Some(node("b")), ..named() }, "`id`"),
        (Config { replicas: Some(1), ..named() }, "replicas"),
        (Config { founders: Some(four), ..named() }, "members"),
        (Config { founders: Some(renamed), ..named() }, "members"),
        (Config { founders: Some(Founders::Count(5)), ..named() }, "number"),
    ] {
        let error = refused(start(change, &server)).await;
        assert!(matches!(error, Error::Fixed { .. }), "{wanted}: {error}");
    }
    let error = refused(start(Config { partitions: 65, ..named() }, &server)).await;
    assert!(matches!(error, Error::Partitions { found: 64, wanted: 65 }), "{error}");

    // Who asks for nothing gets what there is.
    let plain = Config { id: None, founders: None, ..named() };
    let a = ended(start(plain, &server)).await.unwrap();
    assert_eq!((a.found.owner.node.as_str(), a.found.owner.replicas), ("a", 3));
}

#[tokio::test]
async fn an_empty_node_whose_settings_ask_for_another_cluster_is_refused() {
    let server = NatsServer::start().await;
    drop(founded(&server).await);
    empty(&server, "c");
    let other = Config { partitions: 8, ..named(&server, "c") };
    let error = refused(start(other, &server)).await;
    assert!(matches!(error, Error::Partitions { found: 64, wanted: 8 }), "{error}");
    assert!(!has_identity(&server, "c"));
}

#[test]
fn a_founding_that_is_repeated_gives_the_same_cluster() {
    let plan = Plan { size: 2, partitions: 8, replicas: 1 };
    let member = |id: &str, disk| Member { node: node(id), disk: DiskId([disk; 16]) };
    let cluster = found(plan, vec![member("a", 1), member("b", 2)]);
    assert_eq!(found(plan, vec![member("b", 2), member("a", 1)]), cluster);
    let others = [
        found(plan, vec![member("a", 1), member("b", 3)]),
        found(plan, vec![member("a", 1), member("c", 2)]),
        found(Plan { replicas: 3, ..plan }, vec![member("a", 1), member("b", 2)]),
    ];
    assert!(others.iter().all(|other| other.id != cluster.id));
}
