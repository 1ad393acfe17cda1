//! What must hold in every state: what is durable in one partition fits to what is durable in the
//! other. Nobody has to remember anything for that, for nothing that is durable is cut off here.

use super::ask::HOME;
use crate::host::{Host, Turn};
use crate::property::{Broken, Property};
use catena_protocol::message::commit::{Decided, Outcome};
use catena_protocol::message::prepare::{TxnId, Unsettled};
use catena_protocol::message::replicate::Decision;
use catena_protocol::message::store::Tell;
use std::sync::Arc;

type Hosts = [Arc<Host>; 2];
type Judgement = Result<(), Broken>;

/// Looks at everything after a turn.
pub(super) fn judge(hosts: &Hosts, turn: &Turn) -> [Judgement; 5] {
    [
        one_outcome(hosts),
        told_as_it_is(hosts, turn),
        all_or_nothing(hosts),
        nothing_dropped(hosts),
        nothing_forgotten(hosts),
    ]
}

fn broken(property: Property, what: String) -> Judgement {
    Err(Broken { property, what })
}

fn decisions(host: &Host) -> impl Iterator<Item = &Decision> {
    host.durable().map(|record| &record.decision)
}

fn outcomes(hosts: &Hosts) -> impl Iterator<Item = &Outcome> {
    hosts.iter().flat_map(|host| decisions(host)).filter_map(|decision| match decision {
        Decision::Outcome { outcome, .. } => Some(outcome),
        _ => None,
    })
}

/// The transactions that are committed.
fn committed(hosts: &Hosts) -> impl Iterator<Item = &Unsettled> {
    decisions(&hosts[HOME]).filter_map(|decision| match decision {
        Decision::Outcome { unsettled, .. } => unsettled.as_ref(),
        _ => None,
    })
}

fn one_outcome(hosts: &Hosts) -> Judgement {
    let all: Vec<&Outcome> = outcomes(hosts).collect();
    if all.len() > 1 {
        return broken(Property::OneOutcome, format!("{all:?}"));
    }
    Ok(())
}

fn told_as_it_is(hosts: &Hosts, turn: &Turn) -> Judgement {
    for (_, response) in &turn.replies {
        if let Tell::Decided(Decided::Outcome(told)) = &response.tell
            && !outcomes(hosts).any(|outcome| outcome == told)
        {
            return broken(Property::OneOutcome, format!("{told:?} is told and not on disk"));
        }
    }
    Ok(())
}

fn all_or_nothing(hosts: &Hosts) -> Judgement {
    for record in hosts.iter().flat_map(|host| host.durable()) {
        let Decision::Resolve { txn, committed: took_effect } = record.decision else { continue };
        let decided = committed(hosts).find(|unsettled| unsettled.txn == txn);
        let fits = match decided {
            Some(unsettled) => took_effect && unsettled.at == record.version,
            None => !took_effect,
        };
        if !fits {
            let what = format!("the home has {decided:?}, another one {record:?}");
            return broken(Property::AllOrNothing, what);
        }
    }
    Ok(())
}

/// Whether a partition has this on its disk.
fn has(hosts: &Hosts, partition: u16, what: impl Fn(&Decision) -> bool) -> bool {
    hosts.get(usize::from(partition)).is_some_and(|host| decisions(host).any(what))
}

fn nothing_dropped(hosts: &Hosts) -> Judgement {
    for Unsettled { txn, at, partitions } in committed(hosts) {
        let is_it = |decision: &Decision| matches!(decision, Decision::Intent(intent) if (intent.txn, intent.at) == (*txn, *at));
        if let Some(lacking) = partitions.iter().find(|number| !has(hosts, **number, is_it)) {
            let what = format!("{txn:?} is committed, partition {lacking} has no intent");
            return broken(Property::NothingDropped, what);
        }
    }
    Ok(())
}

fn nothing_forgotten(hosts: &Hosts) -> Judgement {
    let settled = decisions(&hosts[HOME]).filter_map(|decision| match decision {
        Decision::Settled(settled) => Some(settled),
        _ => None,
    });
    let settled: Vec<TxnId> = settled.flatten().copied().collect();
    for Unsettled { txn, partitions, .. } in committed(hosts).filter(|u| settled.contains(&u.txn)) {
        let is_it = |decision: &Decision| matches!(decision, Decision::Resolve { txn: of, committed: true } if of == txn);
        if let Some(lacking) = partitions.iter().find(|number| !has(hosts, **number, is_it)) {
            let what = format!("{txn:?} is forgotten, partition {lacking} has not heard of it");
            return broken(Property::NothingForgotten, what);
        }
    }
    Ok(())
}
