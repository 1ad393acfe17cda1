//! Where exploring begins.

use crate::bounds::Bounds;
use crate::explore::{Report, Space, Stop, explore, misled};
use crate::host::HOSTS;
use crate::world::{Action, World};

/// Where exploring begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Three nodes that have just started with nothing on their disks.
    Founded,
    /// Node 0 leads epoch 1 and serves; all know that and nothing is on its way.
    Led,
    /// As in `Led`, then node 0 has answered a read at a snapshot ahead of the clocks. The ceiling
    /// that this took has come to node 1, which does not know that it is committed.
    Read,
    /// As in `Led`, then a write has come no further than node 0. Node 1 was elected by node 2,
    /// and the record of its epoch has come no further than itself.
    Split,
}

/// More than any scenario has to last.
const STEPS: usize = 200;

impl Scenario {
    /// Goes through everything that can happen.
    ///
    /// # Errors
    /// If a node cannot start, or fails by itself: then there is something wrong besides the
    /// properties.
    pub fn explore(self, bounds: &Bounds) -> Result<Report, String> {
        explore(&self.begin(bounds)?, bounds, bounds.states)
    }

    /// Goes through the same, and wherever a state is reached in two ways, looks whether both go
    /// on alike: if not, the fingerprint leaves something out that counts. Returns how often that
    /// was looked at, and how the first two came about that differ.
    ///
    /// # Errors
    /// As [`Scenario::explore`].
    pub fn misled(self, bounds: &Bounds) -> Result<(usize, Option<String>), String> {
        misled(self.begin(bounds)?, bounds)
    }

    fn begin(self, bounds: &Bounds) -> Result<World, String> {
        // What happens here is not what is bounded, and nothing is wrong yet.
        let bounds = &Bounds { properties: Vec::new(), gossip: true, ..bounds.clone() };
        let mut world = World::founded(bounds)?;
        if self == Self::Founded {
            return Ok(world);
        }
        world = elect(world, 0, &[0, 1, 2], bounds)?;
        world = settle(after(&world, Action::Beat(0), bounds)?, &[0, 1, 2], bounds, |_| false)?;
        world.begin_anew();
        if self == Self::Read {
            world = settle(after(&world, Action::Read(0), bounds)?, &[0, 1], bounds, |_| false)?;
        }
        if self == Self::Split {
            world = settle(after(&world, Action::Write(0), bounds)?, &[0], bounds, |_| false)?;
            world.begin_anew();
            world = elect(world, 1, &[1, 2], bounds)?;
            world = after(&world, Action::Sync(1), bounds)?;
        }
        world.begin_anew();
        Ok(world)
    }
}

fn after(world: &World, action: Action, bounds: &Bounds) -> Result<World, String> {
    world.after(action, bounds).map_err(|stop| format!("{action:?}: {stop:?}"))
}

/// `host` loses patience and is elected among some. With all of them everything else happens too.
fn elect(world: World, host: usize, among: &[usize], bounds: &Bounds) -> Result<World, String> {
    let world = after(&world, Action::TimeOut(host), bounds)?;
    let leads = |world: &World| world.seen(host).leads && among.len() < HOSTS;
    settle(world, among, bounds, leads)
}

/// Everything happens among some that happens by itself, until it is enough.
fn settle(
    mut world: World,
    among: &[usize],
    bounds: &Bounds,
    enough: impl Fn(&World) -> bool,
) -> Result<World, String> {
    let idle = Bounds { properties: Vec::new(), bug: bounds.bug, ..Bounds::default() };
    let here = |world: &World, action: &Action| match action {
        Action::Deliver(message) => {
            world.message(*message).is_some_and(|message| among.contains(&message.to))
        }
        Action::Sync(host) => among.contains(host),
        _ => false,
    };
    let mut useless = Vec::new();
    for _ in 0..STEPS {
        if enough(&world) {
            return Ok(world);
        }
        let mut actions = world.actions(&idle).into_iter();
        let next = actions.find(|action| here(&world, action) && !useless.contains(action));
        let Some(action) = next else { return Ok(world) };
        match world.after(action, bounds) {
            Ok(next) => world = next,
            Err(Stop::Same) => useless.push(action),
            Err(stop) => return Err(format!("{action:?}: {stop:?}")),
        }
    }
    Err("a scenario does not come to its end".to_owned())
}
