//! How this node is, for whoever looks after the cluster.

use crate::machine::Node;
use catena_protocol::message::status::{NodeStatus, ReplicaStatus};
use catena_protocol::message::store::Cluster;
use catena_protocol::placement::Member;

pub(crate) fn status<C>(node: &Node<C>, member: &Member, cluster: &Cluster) -> NodeStatus {
    let replicas = node.views().map(|view| ReplicaStatus {
        partition: view.partition,
        part: view.part,
        epoch: view.epoch,
        serves: view.serves,
        primary: view.primary.map(|member| member.node),
        last: view.last.index,
        commit: view.commit,
        closed: view.closed,
        voters: view.voters,
        halted: node.halted(view.partition).map(str::to_owned),
    });
    NodeStatus { member: member.clone(), cluster: cluster.clone(), replicas: replicas.collect() }
}
