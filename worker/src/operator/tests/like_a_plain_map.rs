//! A job sees the store as if it were a plain map of its own, whatever it does to it, and what it
//! hands on does to the store what it did to that map.

use crate::operator::memory_store::{MemoryStore, context, opening};
use crate::operator::{Context, Opening};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Code, Fault};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Act {
    Put(String, String),
    Delete(String),
    Add(String, i64),
    UpdateIf(String, Option<String>, Option<String>),
    Read(String),
    Scan(u32),
    NextStep,
}

type Model = BTreeMap<String, String>;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = || (0..6_u8).prop_map(|n| format!("{{t}}:{n}"));
    let value =
        || prop_oneof![Just("7"), Just("-3"), Just("text"), Just("")].prop_map(str::to_owned);
    let act = prop_oneof![
        (key(), value()).prop_map(|(k, v)| Act::Put(k, v)),
        key().prop_map(Act::Delete),
        (key(), -5..5_i64).prop_map(|(k, d)| Act::Add(k, d)),
        (key(), proptest::option::of(value()), proptest::option::of(value()))
            .prop_map(|(k, e, n)| Act::UpdateIf(k, e, n)),
        key().prop_map(Act::Read),
        (1..8_u32).prop_map(Act::Scan),
        Just(Act::NextStep),
    ];
    proptest::collection::vec(act, 0..40)
}

/// Adds as the map would; none: not an integer.
fn add(model: &mut Model, key: &str, delta: i64) -> Option<()> {
    let base: i64 = model.get(key).map_or(Ok(0), |text| text.parse()).ok()?;
    model.insert(key.to_owned(), (base + delta).to_string());
    Some(())
}

async fn check(context: &Context, model: &mut Model, act: Act) -> Result<(), Fault> {
    match act {
        Act::Put(key, value) => {
            context.write(&key, value.clone()).await?;
            model.insert(key, value);
        }
        Act::Delete(key) => {
            context.delete(&key).await?;
            model.remove(&key);
        }
        Act::Add(key, delta) => {
            let integer = add(&mut model.clone(), &key, delta).is_some();
            // An add on top of what only the store knows is not looked at before the commit.
            if context.add(&key, delta).await.is_ok() && !integer {
                return Err(Fault::bad_request("unseen"));
            }
            add(model, &key, delta);
        }
        Act::UpdateIf(key, expected, new) => {
            let equal = model.get(&key) == expected.as_ref();
            let bytes = |text: &'_ Option<String>| text.as_ref().map(|t| t.clone().into_bytes());
            let (expected, value) = (bytes(&expected), bytes(&new));
            let updated =
                context.update_if_value_is(&key, expected.as_deref(), value.as_deref()).await?;
            assert_eq!(updated, equal, "update of {key}");
            match new.filter(|_| equal) {
                Some(new) => drop(model.insert(key, new)),
                None if equal => drop(model.remove(&key)),
                None => {}
            }
        }
        Act::Read(key) => {
            let found = context.read(&key).await?;
            assert_eq!(found.as_deref(), model.get(&key).map(String::as_bytes), "{key}");
        }
        Act::Scan(limit) => {
            let found = context.scan("{t}:", limit).await?;
            let found: Vec<_> = found
                .iter()
                .map(|(key, value)| (key.as_str(), std::str::from_utf8(value).unwrap()))
                .collect();
            let expected: Vec<_> =
                model.iter().map(|(k, v)| (&**k, &**v)).take(limit as usize).collect();
            assert_eq!(found, expected);
        }
        Act::NextStep => {}
    }
    Ok(())
}

/// What a commit of `effects` makes of `stored`.
fn commit(stored: &Model, effects: Effects) -> Option<Model> {
    let mut after = stored.clone();
    for Mutation { key, change } in effects.writes {
        let key = key.as_str();
        match change {
            Change::Put(value) => {
                after.insert(key.to_owned(), String::from_utf8(value.0.to_vec()).unwrap());
            }
            Change::Delete => drop(after.remove(key)),
            Change::Add(delta) => add(&mut after, key, delta)?,
        }
    }
    Some(after)
}

async fn run(stored: Model, acts: Vec<Act>, page: usize) {
    let values: Vec<_> = stored.iter().map(|(k, v)| (&**k, &**v)).collect();
    let store = MemoryStore::with(&values);
    *store.page.lock().unwrap() = page;
    // Newer than the snapshot, hence unseen.
    store.set("{t}:0", 200, Some("new"));
    store.set("{t}:9", 200, Some("new"));
    let mut model = stored.clone();
    let mut job = context(&store);
    for act in acts {
        if matches!(act, Act::NextStep) {
            let effects = job.finish().unwrap();
            job = Context::open(Opening { effects, ..opening() }, Arc::clone(&store) as Arc<_>);
            continue;
        }
        // The only acts that fail are additions to a text.
        if let Err(fault) = check(&job, &mut model, act).await {
            assert!(fault.code == Code::OperatorFailed || fault.message == "unseen", "{fault}");
            return;
        }
    }
    let effects = job.finish().unwrap();
    let mut keys: Vec<_> = effects.writes.iter().map(|mutation| &mutation.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), effects.writes.len(), "one mutation for each key");
    assert_eq!(commit(&stored, effects), Some(model));
}

proptest! {
    #[test]
    fn whatever_a_job_does(
        stored in proptest::collection::btree_map(
            (0..6_u8).prop_map(|n| format!("{{t}}:{n}")),
            prop_oneof![Just("5".to_owned()), Just("word".to_owned())],
            0..5,
        ),
        acts in acts(),
        page in 0..4_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(stored, acts, page));
    }
}
