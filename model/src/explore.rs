//! Goes through all states, breadth first, so that what is found first is shortest.

use crate::fingerprint;
use crate::property::Broken;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;

/// States, and what may happen in each.
pub(crate) trait Space: Clone + Debug {
    /// Something that happens.
    type Action: Copy + Debug;
    /// How much of it may.
    type Bounds;

    fn fingerprint(&self) -> u64;

    /// Everything that may happen.
    fn actions(&self, bounds: &Self::Bounds) -> Vec<Self::Action>;

    /// What becomes of this when something happens.
    fn after(&self, action: Self::Action, bounds: &Self::Bounds) -> Result<Self, Stop>;

    /// Whether what follows is looked at, too.
    fn goes_on(&self, bounds: &Self::Bounds) -> bool;

    /// What happens, for people.
    fn tell(&self, action: Self::Action) -> String;

    /// The fingerprint of what alone counts when everything comes to rest; none: nothing is asked
    /// of that.
    fn left(&self) -> Option<u64> {
        None
    }

    /// What is on its way is lost, and nothing comes from outside any more: what must hold when
    /// everything has come to rest.
    fn rest(&self, _bounds: &Self::Bounds) -> Result<(), Stop> {
        Ok(())
    }
}

/// Why there is no next state.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// Nothing new would come of it.
    Same,
    /// A property does not hold.
    Broken(Broken),
    /// A node failed, which it never does.
    Failed(String),
}

/// What exploring came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// How many of them came to rest, and what must hold then was looked at.
    pub rested: usize,
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
type Ways<A> = HashMap<u64, Option<(u64, A)>>;

/// Where exploring is.
struct Explored<S: Space> {
    ways: Ways<S::Action>,
    /// What has been let come to rest.
    rested: HashSet<u64>,
    next: Vec<S>,
    events: usize,
}

/// Goes through everything that can happen from `root` on, up to so many states.
pub(crate) fn explore<S: Space>(
    root: &S,
    bounds: &S::Bounds,
    states: usize,
) -> Result<Report, String> {
    let mut explored = Explored {
        ways: Ways::from([(root.fingerprint(), None)]),
        rested: HashSet::new(),
        next: Vec::new(),
        events: 0,
    };
    let mut layer = vec![root.clone()];
    let mut depth = 0;
    while !layer.is_empty() {
        for world in layer.drain(..) {
            let found = explored.expand(&world, bounds)?;
            if found.is_none() && explored.ways.len() < states {
                continue;
            }
            let counterexample = found.map(|(broken, action)| {
                let mut actions = explored.way(world.fingerprint());
                actions.push(action);
                Counterexample { broken, events: tell(root, &actions, bounds) }
            });
            return Ok(explored.report(depth, false, counterexample));
        }
        depth += usize::from(!explored.next.is_empty());
        layer = std::mem::take(&mut explored.next);
    }
    Ok(explored.report(depth, true, None))
}

/// Goes through the same, and wherever a state is reached in two ways, looks whether both go on
/// alike. Returns how often that was looked at, and how the first two came about that differ.
pub(crate) fn misled<S: Space>(
    root: S,
    bounds: &S::Bounds,
) -> Result<(usize, Option<String>), String> {
    let mut futures = HashMap::from([(root.fingerprint(), future(&root, bounds)?)]);
    let mut layer = vec![root];
    let mut looked = 0;
    while let Some(world) = layer.pop() {
        for action in world.actions(bounds) {
            let Ok(after) = world.after(action, bounds) else { continue };
            if !after.goes_on(bounds) {
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
fn future<S: Space>(world: &S, bounds: &S::Bounds) -> Result<u64, String> {
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

impl<S: Space> Explored<S> {
    /// Adds the states that follow on `world` and are new.
    fn expand(
        &mut self,
        world: &S,
        bounds: &S::Bounds,
    ) -> Result<Option<(Broken, S::Action)>, String> {
        let from = world.fingerprint();
        for action in world.actions(bounds) {
            let after = match world.after(action, bounds) {
                Ok(after) => after,
                Err(Stop::Same) => continue,
                Err(Stop::Broken(broken)) => return Ok(Some((broken, action))),
                Err(Stop::Failed(why)) => return Err(why),
            };
            self.events += 1;
            if !after.goes_on(bounds) {
                continue;
            }
            if let Entry::Vacant(new) = self.ways.entry(after.fingerprint()) {
                new.insert(Some((from, action)));
                if let Some(broken) = self.rest(&after, bounds)? {
                    return Ok(Some((broken, action)));
                }
                self.next.push(after);
            }
        }
        Ok(None)
    }

    /// Lets a state come to rest, unless what counts of it did before.
    fn rest(&mut self, world: &S, bounds: &S::Bounds) -> Result<Option<Broken>, String> {
        if !world.left().is_some_and(|left| self.rested.insert(left)) {
            return Ok(None);
        }
        match world.rest(bounds) {
            Ok(()) | Err(Stop::Same) => Ok(None),
            Err(Stop::Broken(broken)) => Ok(Some(broken)),
            Err(Stop::Failed(why)) => Err(why),
        }
    }

    /// How a state was reached first.
    fn way(&self, mut to: u64) -> Vec<S::Action> {
        let mut actions = Vec::new();
        while let Some(Some((from, action))) = self.ways.get(&to) {
            actions.push(*action);
            to = *from;
        }
        actions.reverse();
        actions
    }

    fn report(
        &self,
        depth: usize,
        complete: bool,
        counterexample: Option<Counterexample>,
    ) -> Report {
        let (states, rested) = (self.ways.len(), self.rested.len());
        Report { states, rested, events: self.events, depth, complete, counterexample }
    }
}

/// What happened, for people.
fn tell<S: Space>(root: &S, actions: &[S::Action], bounds: &S::Bounds) -> Vec<String> {
    let mut world = root.clone();
    let mut told = Vec::new();
    for action in actions {
        told.push(world.tell(*action));
        if let Ok(next) = world.after(*action, bounds) {
            world = next;
        }
    }
    told
}
