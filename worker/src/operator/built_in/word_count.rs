//! `word-count`: how often each word occurs in a text, and if wanted in all texts so far.
//!
//! A word is a run of letters, digits and apostrophes, by the rules of Unicode, in small letters
//! and without apostrophes at its ends.

use super::BuiltIn;
use super::transform::Transform;
use crate::operator::{Configured, Context, Operator, Output, Running, payload};
use bytes::Bytes;
use catena_protocol::Fault;
use catena_protocol::chain::Effect;
use futures_util::FutureExt;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    name: "word-count",
    effect: Effect::Writing,
    help: "counts the words of a text into a JSON object, sorted by word; `store`: whether each \
           count is also added to a key (default: false); `prefix`: stands before the word in \
           the key (default: `words:`)",
    configure: |settings| {
        let Settings { prefix, store } = payload::settings(settings)?;
        if !store {
            return Ok(Transform::of(|input| payload::to_json(&count(input)?)));
        }
        let operator = Arc::new(StoredCount { prefix });
        Ok(Configured { operator, effect: Effect::Writing })
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "words")]
    prefix: String,
    #[serde(default)]
    store: bool,
}

fn words() -> String {
    "words:".to_owned()
}

fn count(input: &Bytes) -> Result<BTreeMap<String, i64>, Fault> {
    let inside = |c: char| c.is_alphanumeric() || c == '\'';
    let mut counts = BTreeMap::new();
    let runs = payload::text(input)?.split(|c| !inside(c)).map(|run| run.trim_matches('\''));
    for word in runs.filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    Ok(counts)
}

struct StoredCount {
    prefix: String,
}

impl StoredCount {
    async fn count(&self, context: &Context, input: &Bytes) -> Output {
        let counts = count(input)?;
        for (word, count) in &counts {
            context.add(format!("{}{word}", self.prefix), *count).await?;
        }
        payload::to_json(&counts)
    }
}

impl Operator for StoredCount {
    fn run(self: Arc<Self>, context: Context, input: Bytes) -> Running {
        async move { self.count(&context, &input).await }.boxed()
    }
}
