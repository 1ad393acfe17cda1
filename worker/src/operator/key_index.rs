//! Finds a key in a list that only grows: by looking at each while the list is short, by a hash
//! table once it is longer. Most jobs touch a handful of keys and never pay for the table.

use catena_protocol::Key;
use std::collections::HashMap;

const SHORT: usize = 16;

/// Where each key of a list stands. The list itself lives elsewhere and is given to each call.
#[derive(Debug, Default)]
pub(super) struct KeyIndex {
    places: HashMap<Key, usize>,
}

impl KeyIndex {
    /// The place of `key` in `list`, which may have grown since the last call.
    pub(super) fn find<T>(
        &mut self,
        list: &[T],
        key_of: impl Fn(&T) -> &Key,
        key: &Key,
    ) -> Option<usize> {
        if list.len() <= SHORT {
            return list.iter().position(|item| key_of(item) == key);
        }
        for (place, item) in list.iter().enumerate().skip(self.places.len()) {
            self.places.insert(key_of(item).clone(), place);
        }
        self.places.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_short_and_long_lists() {
        let mut list: Vec<Key> = Vec::new();
        let mut index = KeyIndex::default();
        for n in 0..100 {
            let key = Key::new(format!("k{n}")).unwrap();
            assert_eq!(index.find(&list, |key| key, &key), None);
            list.push(key);
            for (place, key) in list.iter().enumerate() {
                assert_eq!(index.find(&list, |key| key, key), Some(place));
            }
        }
    }
}
