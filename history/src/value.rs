//! Values by number, so that a search compares and hashes them at no cost.

use std::collections::HashMap;

/// A value by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ValueId(pub(crate) u32);

impl ValueId {
    /// There is no value.
    pub(crate) const ABSENT: Self = Self(0);
}

/// All values that a search has met.
#[derive(Debug)]
pub(crate) struct Values {
    known: Vec<Option<String>>,
    integers: Vec<Option<i64>>,
    ids: HashMap<String, ValueId>,
    sums: HashMap<i64, ValueId>,
}

impl Values {
    pub(crate) fn new() -> Self {
        Self {
            known: vec![None],
            integers: vec![Some(0)],
            ids: HashMap::new(),
            sums: HashMap::new(),
        }
    }

    /// So many values have a number.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    /// The number of a value.
    pub(crate) fn id(&mut self, value: Option<&str>) -> ValueId {
        let Some(text) = value else { return ValueId::ABSENT };
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = ValueId(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        self.known.push(Some(text.to_owned()));
        self.integers.push(text.trim_ascii().parse().ok());
        self.ids.insert(text.to_owned(), id);
        id
    }

    /// The number of the value that an addition leaves.
    pub(crate) fn sum(&mut self, sum: i64) -> ValueId {
        if let Some(id) = self.sums.get(&sum) {
            return *id;
        }
        let id = self.id(Some(&sum.to_string()));
        self.sums.insert(sum, id);
        id
    }

    /// The integer that an addition finds; none: it would be refused.
    pub(crate) fn integer(&self, id: ValueId) -> Option<i64> {
        self.integers[id.0 as usize]
    }

    /// The value itself.
    pub(crate) fn value(&self, id: ValueId) -> Option<String> {
        self.known[id.0 as usize].clone()
    }
}
