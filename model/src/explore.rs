//! Goes through all states, breadth first, so that what is found first is shortest.

use crate::bounds::Bounds;
use crate::fingerprint;
use crate::property::Broken;
use crate::scenario::Scenario;
use crate::world::{Action, Stop, World};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What exploring came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Events from one to another, or to the same.
    pub events: usize,
    /// Events on the shortest way to the farthest.
    pub depth: usize,
    /// Whether all states within the bounds were visited.
    pub complete: bool,
    /// The first property that did not hold.
    pub counterexample: Option<Counterexample>,
}

/// How it comes that a property does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// Which, and what was seen.
    pub broken: Broken,
    /// What happened, from where the scenario begins.
    pub events: Vec<String>,
}

/// From where each state was reached first.
type Ways = HashMap<u64, Option<(u64, Action)>>;

/// Goes through everything that can happen.
///
/// # Errors
/// If a node cannot start, or fails by itself: then there is something wrong besides the
/// properties.
pub fn explore(scenario: Scenario, bounds: &Bounds) -> Result<Report, String> {
    let root = scenario.begin(bounds)?;
    let mut ways = Ways::from([(root.fingerprint(), None)]);
    let mut layer = vec![root.clone()];
    let mut report =
        Report { states: 1, events: 0, depth: 0, complete: true, counterexample: None };
    while !layer.is_empty() {
        let mut next = Vec::new();
        for world in layer.drain(..) {
            let found = expand(&world, bounds, &mut ways, &mut next, &mut report)?;
            if let Some((broken, action)) = found {
                let mut actions = way(&ways, world.fingerprint());
                actions.push(action);
                let events = tell(&root, &actions, bounds);
                report.counterexample = Some(Counterexample { broken, events });
            }
            if report.counterexample.is_some() || ways.len() >= bounds.states {
                report.states = ways.len();
                report.complete = false;
                return Ok(report);
            }
        }
        report.depth += usize::from(!next.is_empty());
        layer = next;
    }
    report.states = ways.len();
    Ok(report)
}

/// Goes through the same, and wherever a state is reached in two ways, looks whether both go on
/// alike: if not, the fingerprint leaves something out that counts. Returns how often that was
/// looked at, and how the first two came about that differ.
///
/// # Errors
/// As [`explore`].
pub fn misled(scenario: Scenario, bounds: &Bounds) -> Result<(usize, Option<String>), String> {
    let root = scenario.begin(bounds)?;
    let mut futures = HashMap::from([(root.fingerprint(), future(&root, bounds)?)]);
    let mut layer = vec![root];
    let mut looked = 0;
    while let Some(world) = layer.pop() {
        for action in world.actions(bounds) {
            let Ok(after) = world.after(action, bounds) else { continue };
            if after.highest_epoch() > bounds.epochs {
                continue;
            }
            let here = future(&after, bounds)?;
            match futures.entry(after.fingerprint()) {
                Entry::Vacant(new) => {
                    new.insert(here);
                    layer.push(after);
                }
                Entry::Occupied(known) if *known.get() == here => looked += 1,
                Entry::Occupied(_) => {
                    return Ok((looked, Some(format!("after {action:?}: {after:?}"))));
                }
            }
        }
    }
    Ok((looked, None))
}

/// What follows on a state, as one number.
fn future(world: &World, bounds: &Bounds) -> Result<u64, String> {
    let mut next = Vec::new();
    for action in world.actions(bounds) {
        next.push(match world.after(action, bounds) {
            Ok(after) => after.fingerprint(),
            Err(Stop::Same) => 0,
            Err(Stop::Broken(_)) => 1,
            Err(Stop::Failed(why)) => return Err(why),
        });
    }
    Ok(fingerprint::of(next))
}

/// Adds the states that follow on `world` and are new.
fn expand(
    world: &World,
    bounds: &Bounds,
    ways: &mut Ways,
    next: &mut Vec<World>,
    report: &mut Report,
) -> Result<Option<(Broken, Action)>, String> {
    let from = world.fingerprint();
    for action in world.actions(bounds) {
        let after = match world.after(action, bounds) {
            Ok(after) => after,
            Err(Stop::Same) => continue,
            Err(Stop::Broken(broken)) => return Ok(Some((broken, action))),
            Err(Stop::Failed(why)) => return Err(why),
        };
        report.events += 1;
        if after.highest_epoch() > bounds.epochs {
            continue;
        }
        if let Entry::Vacant(new) = ways.entry(after.fingerprint()) {
            new.insert(Some((from, action)));
            next.push(after);
        }
    }
    Ok(None)
}

/// How a state was reached first.
fn way(ways: &Ways, mut to: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some(Some((from, action))) = ways.get(&to) {
        actions.push(*action);
        to = *from;
    }
    actions.reverse();
    actions
}

/// The same for people.
fn tell(root: &World, actions: &[Action], bounds: &Bounds) -> Vec<String> {
    let mut world = root.clone();
    let mut told = Vec::new();
    for action in actions {
        told.push(match action {
            Action::Deliver(message) => match world.message(*message) {
                Some(message) => format!("to {}: {:?}", message.to, message.input),
                None => format!("{action:?}"),
            },
            _ => format!("{action:?}"),
        });
        if let Ok(next) = world.after(*action, bounds) {
            world = next;
        }
    }
    told
}
