//! Everything that is on its way is lost, and nobody asks any more. What the nodes still do by
//! themselves must come to an end, and leave nothing half done.

use super::ask::{AWAY, HOME, read};
use super::bounds::Bounds;
use super::judge;
use super::world::{BEAT_US, World};
use crate::explore::Stop;
use crate::host::Turn;
use crate::property::{Broken, Property};
use catena_protocol::Blob;
use catena_protocol::message::store::Tell;
use catena_storage::machine::Input;

/// After so many beats everything has an end: a home gives up after five.
const BEATS: usize = 16;

impl World {
    pub(super) fn come_to_rest(mut self, bounds: &Bounds) -> Result<(), Stop> {
        self.flight.clear();
        for _ in 0..BEATS {
            if self.is_at_rest() {
                break;
            }
            for at in [HOME, AWAY] {
                let turn = self.host(at).turn(Input::Tick, BEAT_US).map_err(Stop::Failed)?;
                self.carry_out(at, turn, bounds)?;
            }
        }
        let open = [HOME, AWAY].map(|at| self.hosts[at].open_txns());
        if open != [0, 0] {
            return left(bounds, format!("{open:?} transactions are open"));
        }
        self.looks_whole(bounds)
    }

    fn is_at_rest(&self) -> bool {
        self.hosts.iter().all(|host| host.open_txns() == 0 && !host.seen.is_writing)
    }

    /// A turn, and all that follows from it at once.
    fn carry_out(&mut self, at: usize, mut turn: Turn, bounds: &Bounds) -> Result<(), Stop> {
        self.host(at).sync_all(&mut turn).map_err(Stop::Failed)?;
        let found = judge::judge(&self.hosts, &turn).into_iter().filter_map(Result::err);
        let found = found.into_iter().find(|b| bounds.properties.contains(&b.property));
        found.map_or(Ok(()), |broken| Err(Stop::Broken(broken)))?;
        self.put_on_its_way(turn.messages);
        while let Some((_, message)) = self.flight.pop_first() {
            let turn = self.host(message.to).turn(message.input.clone(), 0);
            self.carry_out(message.to, turn.map_err(Stop::Failed)?, bounds)?;
        }
        Ok(())
    }

    /// Both records hold what the same attempt has written; if nobody else wrote.
    fn looks_whole(&mut self, bounds: &Bounds) -> Result<(), Stop> {
        if bounds.writes > 0 {
            return Ok(());
        }
        let values = [self.value(HOME)?, self.value(AWAY)?];
        if values[0] != values[1] {
            return left(bounds, format!("half of a job is visible: {values:?}"));
        }
        Ok(())
    }

    fn value(&mut self, at: usize) -> Result<Option<Blob>, Stop> {
        let turn = self.host(at).turn_at_last(read(at)).map_err(Stop::Failed)?;
        let told = turn.replies.into_iter().find_map(|(_, response)| match response.tell {
            Tell::Record(record) => Some(record.value),
            _ => None,
        });
        told.ok_or_else(|| Stop::Failed(format!("the record of partition {at} cannot be read")))
    }
}

fn left(bounds: &Bounds, what: String) -> Result<(), Stop> {
    let property = Property::NothingLeft;
    match bounds.properties.contains(&property) {
        true => Err(Stop::Broken(Broken { property, what })),
        false => Ok(()),
    }
}
