//! Open requests by the number on the wire: a bounded table without hashing.
//!
//! The number of a request is `serial << SLOT_BITS | slot`. Each time that a request is sent it
//! gets a new serial, so that an answer tells to which try it belongs; an answer to any try of
//! the request that now has the slot is its answer, one to a former owner of the slot is not.

const SLOT_BITS: u32 = 20;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// Most requests that one table can hold.
pub const MOST: usize = 1 << SLOT_BITS;

/// A request's place: valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    slot: u32,
    first: u64,
}

/// A bounded table of open requests.
#[derive(Clone, Debug)]
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    serial: u64,
    most: usize,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    first: u64,
    last: u64,
    open: Option<T>,
}

impl<T> Slots<T> {
    /// An empty table for at most `most` requests (and at most [`MOST`]).
    pub const fn new(most: usize) -> Self {
        let most = if most < MOST { most } else { MOST };
        Self { slots: Vec::new(), free: Vec::new(), serial: 0, most }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no more fits.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    /// Takes a request in; gives it back if the table is full.
    ///
    /// # Errors
    /// The request itself.
    pub fn insert(&mut self, open: T) -> Result<Place, T> {
        if self.is_full() {
            return Err(open);
        }
        self.serial += 1;
        let (first, last) = (self.serial, self.serial);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Slot { first, last, open: Some(open) };
                slot
            }
            None => {
                self.slots.push(Slot { first, last, open: Some(open) });
                (self.slots.len() - 1) as u32
            }
        };
        Ok(Place { slot, first })
    }

    /// A new number for the next try.
    pub fn number(&mut self, place: Place) -> u64 {
        self.serial += 1;
        if let Some(slot) = self.slots.get_mut(place.slot as usize) {
            slot.last = self.serial;
        }
        (self.serial << SLOT_BITS) | u64::from(place.slot)
    }

    /// Whose number it is, if that request is open; and whether it is that of its last try.
    pub fn find(&self, number: u64) -> Option<(Place, bool)> {
        let (slot, serial) = ((number & SLOT_MASK) as u32, number >> SLOT_BITS);
        let found = self.slots.get(slot as usize)?;
        let open = found.open.is_some() && (found.first..=found.last).contains(&serial);
        open.then_some((Place { slot, first: found.first }, serial == found.last))
    }

    /// The request at a place.
    pub fn get(&self, place: Place) -> Option<&T> {
        let slot = self.slots.get(place.slot as usize)?;
        slot.open.as_ref().filter(|_| slot.first == place.first)
    }

    /// The request at a place.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        let slot = self.slots.get_mut(place.slot as usize)?;
        slot.open.as_mut().filter(|_| slot.first == place.first)
    }

    /// Takes the request out.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        let slot = self.slots.get_mut(place.slot as usize)?;
        if slot.first != place.first {
            return None;
        }
        let open = slot.open.take()?;
        self.free.push(place.slot);
        Some(open)
    }

    /// Every open request, in the order of the slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Place, &mut T)> {
        self.slots.iter_mut().enumerate().filter_map(|(slot, found)| {
            let place = Place { slot: slot as u32, first: found.first };
            found.open.as_mut().map(|open| (place, open))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_the_request_they_belong_to() {
        let mut slots = Slots::new(2);
        let a = slots.insert('a').unwrap();
        let first_try = slots.number(a);
        let second_try = slots.number(a);
        assert_eq!(slots.find(first_try), Some((a, false)));
        assert_eq!(slots.find(second_try), Some((a, true)));
        assert_eq!(slots.remove(a), Some('a'));
        assert_eq!(slots.find(second_try), None);

        let b = slots.insert('b').unwrap();
        let number = slots.number(b);
        assert_eq!(slots.find(second_try), None, "an answer to the former owner of the slot");
        assert_eq!(slots.find(number), Some((b, true)));
        assert_eq!(slots.get(a), None);
        assert_eq!(slots.remove(a), None);
    }

    #[test]
    fn a_full_table_gives_the_request_back() {
        let mut slots = Slots::new(1);
        let place = slots.insert('a').unwrap();
        assert_eq!(slots.insert('b'), Err('b'));
        assert_eq!(slots.remove(place), Some('a'));
        assert!(slots.insert('b').is_ok() && slots.is_full());
    }
}
