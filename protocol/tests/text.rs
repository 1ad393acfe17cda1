//! What services keep in JetStream or tell people as text: the JSON and the names of headers that
//! it has today. `storage/FORMAT.md` says which of it outlives a process.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_protocol::chain::{Definition, Effect, Isolation, Service, StepDefinition};
use catena_protocol::message::gossip::Part;
use catena_protocol::message::status::{NodeStatus, ReplicaStatus};
use catena_protocol::message::store::Cluster;
use catena_protocol::message::submit::Queued;
use catena_protocol::placement::Member;
use catena_protocol::subject::{CHAINS, CLUSTER, JOBS, OPERATORS, Subjects};
use catena_protocol::{Code, DiskId, Fault, JobId, Name, NodeId, Timestamp, edge};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Debug;

/// The value is written as this text, and the text is read as this value.
fn is<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, text: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), text);
    assert_eq!(&serde_json::from_str::<T>(text).unwrap(), value, "{text}");
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn member(node: &str, disk: u8) -> Member {
    Member { node: NodeId::new(node).unwrap(), disk: DiskId([disk; 16]) }
}

fn cluster() -> Cluster {
    let id = "0123456789abcdef0123456789abcdef".to_owned();
    let members = vec![member("storage-1", 0xfe), member("storage-2", 2)];
    Cluster { id, partitions: 64, replicas: 3, members }
}

const CLUSTER_TEXT: &str = concat!(
    r#"{"id":"0123456789abcdef0123456789abcdef","partitions":64,"replicas":3,"members":["#,
    r#"{"node":"storage-1","disk":"fefefefefefefefefefefefefefefefe"},"#,
    r#"{"node":"storage-2","disk":"02020202020202020202020202020202"}]}"#
);

#[test]
fn the_cluster_in_its_bucket() {
    is(&cluster(), CLUSTER_TEXT);
    let old = Cluster { replicas: 1, members: vec![], ..cluster() };
    let text = r#"{"id":"0123456789abcdef0123456789abcdef","partitions":64}"#;
    assert_eq!(serde_json::from_str::<Cluster>(text).unwrap(), old, "of a time before replicas");
}

fn step(operator: &str, settings: Value) -> StepDefinition {
    StepDefinition { operator: name(operator), settings }
}

#[test]
fn chains_in_their_bucket() {
    let plain = Definition::of(vec![step("trim", Value::Null), step("uppercase", Value::Null)]);
    let full = Definition {
        steps: vec![step("trim", Value::Null), step("split", json!({ "on": "," }))],
        description: Some("a line".to_owned()),
        deadline: 10_500,
        step_timeout: Some(2_000),
        retries: 3,
        isolation: Isolation::Snapshot,
        key: Some("/id".to_owned()),
    };
    is(
        &plain,
        concat!(
            r#"{"steps":["trim","uppercase"],"deadline":"1m","retries":0,"#,
            r#""isolation":"serializable"}"#
        ),
    );
    is(
        &full,
        concat!(
            r#"{"steps":["trim",{"operator":"split","settings":{"on":","}}],"#,
            r#""description":"a line","deadline":"10s 500ms","step_timeout":"2s","retries":3,"#,
            r#""isolation":"snapshot","key":"/id"}"#
        ),
    );
    // As people may have set them.
    for text in [
        "trim,uppercase",
        " trim , uppercase\n",
        r#"["trim","uppercase"]"#,
        r#"{"steps":["trim",{"operator":"uppercase"}]}"#,
        r#"{"steps":["trim","uppercase"],"deadline":60}"#,
    ] {
        assert_eq!(Definition::parse(text).unwrap(), plain, "{text}");
    }
    let isolations = [
        (Isolation::Serializable, r#""serializable""#),
        (Isolation::Snapshot, r#""snapshot""#),
        (Isolation::Latest, r#""latest""#),
    ];
    isolations.iter().for_each(|(isolation, text)| is(isolation, text));
}

#[test]
fn operators_in_their_bucket() {
    let description = Some("a line".to_owned());
    let service = Service { subject: "my.enrich".into(), effect: Effect::ReadOnly, description };
    let text = r#"{"subject":"my.enrich","effect":"read-only","description":"a line"}"#;
    is(&service, text);
    assert_eq!(Service::parse(text).unwrap(), service);
    let plain = Service { effect: Effect::Pure, description: None, ..service };
    is(&plain, r#"{"subject":"my.enrich","effect":"pure"}"#);
    for text in ["my.enrich", " my.enrich\n", r#"{"subject":"my.enrich"}"#] {
        assert_eq!(Service::parse(text).unwrap(), plain, "{text}");
    }
    is(&Effect::Writing, r#""writing""#);
}

#[test]
fn what_a_storage_node_says_of_itself() {
    let replica = ReplicaStatus {
        partition: 5,
        part: Part::Primary,
        epoch: 4,
        serves: true,
        primary: Some(NodeId::new("storage-1").unwrap()),
        last: 17,
        commit: 16,
        closed: Timestamp(1_790_000_000_000_123),
        voters: vec![member("storage-1", 0xfe)],
        halted: None,
    };
    let text = concat!(
        r#"{"partition":5,"part":"primary","epoch":4,"serves":true,"primary":"storage-1","#,
        r#""last":17,"commit":16,"closed":1790000000000123,"voters":["#,
        r#"{"node":"storage-1","disk":"fefefefefefefefefefefefefefefefe"}],"halted":null}"#
    );
    is(&replica, text);
    let halted = ReplicaStatus { primary: None, halted: Some("why".into()), ..replica.clone() };
    let changed = text.replace(r#""primary":"storage-1""#, r#""primary":null"#);
    is(&halted, &changed.replace(r#""halted":null"#, r#""halted":"why""#));
    for (part, text) in [
        (Part::Voter, r#""voter""#),
        (Part::Learner, r#""learner""#),
        (Part::Copying, r#""copying""#),
        (Part::Halted, r#""halted""#),
    ] {
        is(&part, text);
    }
    let member = member("storage-1", 0xfe);
    let status = NodeStatus { member, cluster: cluster(), replicas: vec![replica] };
    let member = r#"{"node":"storage-1","disk":"fefefefefefefefefefefefefefefefe"}"#;
    is(&status, &format!(r#"{{"member":{member},"cluster":{CLUSTER_TEXT},"replicas":[{text}]}}"#));
}

#[test]
fn what_a_submitter_is_told() {
    let job = JobId([0x11; 16]);
    let queued = Queued { job, state: "queued".to_owned(), duplicate: true };
    let text =
        r#"{"job":"11111111-1111-1111-1111-111111111111","state":"queued","duplicate":true}"#;
    is(&queued, text);
    let first = Queued { duplicate: false, ..queued };
    let short = text.replace(r#","duplicate":true"#, "");
    assert_eq!(serde_json::from_str::<Queued>(&short).unwrap(), first);
    is(&Fault::new(Code::Conflict, "no"), r#"{"code":409,"message":"no"}"#);
}

/// Names under which things stand in JetStream, and of headers that stand there with them.
#[test]
fn names_that_outlive_a_process() {
    assert_eq!(
        [CLUSTER, CHAINS, OPERATORS, JOBS],
        ["CATENA_CLUSTER", "CATENA_CHAINS", "CATENA_OPERATORS", "CATENA_JOBS"]
    );
    let other = Subjects::new("shop").unwrap();
    assert_eq!((other.bucket(JOBS), other.queue("c")), ("SHOP_JOBS".into(), "shop.queue.c".into()));
    assert_eq!(Subjects::default().queue("c"), "catena.queue.c");
    assert_eq!(
        [edge::JOB, edge::IDEMPOTENCY_KEY, edge::CHAIN, edge::TIMEOUT, edge::AFTER, edge::TRACE],
        [
            "Catena-Job",
            "Nats-Msg-Id",
            "Catena-Chain",
            "Catena-Timeout",
            "Catena-After",
            "traceparent"
        ]
    );
}
