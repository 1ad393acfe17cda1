//! How keys begin, for counting by it what happens to many of them.
//!
//! A tag says whose a key is: users choose more of them than can be told apart. So tags count as
//! one, and what stands behind them tells keys apart.

use catena_protocol::{Key, tag};

/// What ends a part of a key.
const ENDS: [char; 3] = [':', '/', '.'];

/// The first part of a key, with the end of it; behind a tag the first two.
pub(super) fn prefix(key: &Key) -> String {
    let text = key.as_str();
    let tag = tag(text);
    let Some((before, behind)) =
        text.split_once(&format!("{{{tag}}}")).filter(|_| tag.len() < text.len())
    else {
        return first_part(text).to_owned();
    };
    if before.contains(ENDS) {
        return first_part(before).to_owned();
    }
    let (end, rest) = match behind.strip_prefix(ENDS) {
        Some(rest) => behind.split_at(behind.len() - rest.len()),
        None => ("", behind),
    };
    format!("{before}{{}}{end}{}", first_part(rest))
}

fn first_part(text: &str) -> &str {
    text.find(ENDS).map_or(text, |at| &text[..=at])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn keys_of_one_kind_begin_alike() {
        for (key, expected) in [
            ("stock:apple", "stock:"),
            ("stock/apple.1", "stock/"),
            ("counter", "counter"),
            ("{ada}:cart:17", "{}:cart:"),
            ("{ada}cart.17", "{}cart."),
            ("{ada}", "{}"),
            ("{ada}:cart", "{}:cart"),
            ("user:{ada}:cart", "user:"),
            ("user{ada}:cart", "user{}:cart"),
            ("{}:cart", "{}:"),
            ("a{b", "a{b"),
        ] {
            assert_eq!(prefix(&Key::new(key).unwrap()), expected, "{key}");
        }
    }
}
