//! Declared effects, limits, read sets, isolation and the end of a step.

use crate::operator::memory_store::{MemoryStore, context, opening};
use crate::operator::{Context, Opening};
use catena_protocol::chain::{Effect, Isolation};
use catena_protocol::limit::{KEY_BYTES, SET_KEYS, VALUE_BYTES, WRITE_SET_BYTES};
use catena_protocol::{Code, Fault};
use std::sync::Arc;

fn with(opening: Opening, store: &Arc<MemoryStore>) -> Context {
    Context::open(opening, Arc::clone(store) as Arc<_>)
}

fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> Code {
    result.unwrap_err().code
}

#[tokio::test]
async fn what_was_not_declared_is_refused_and_changes_nothing() {
    let store = MemoryStore::with(&[("k", "v")]);
    let pure = with(Opening { effect: Effect::Pure, ..opening() }, &store);
    assert_eq!(code(pure.read("k").await), Code::BadRequest);
    assert_eq!(code(pure.scan("{t}:", 1).await), Code::BadRequest);
    let reader = with(Opening { effect: Effect::ReadOnly, ..opening() }, &store);
    assert_eq!(reader.read("k").await.unwrap().unwrap(), "v");
    for refused in [
        reader.write("k", "x").await,
        reader.delete("k").await,
        reader.add("k", 1).await,
        reader.update_if_value_is("k", None, None).await.map(|_| ()),
    ] {
        let fault = refused.unwrap_err();
        assert!(fault.message.contains("read-only"), "{fault}");
    }
    assert!(pure.finish().unwrap().is_empty());
    assert!(reader.finish().unwrap().writes.is_empty());
    assert!(store.writes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_reads_that_the_store_answered_are_noted_and_each_once() {
    let store = MemoryStore::with(&[("a", "1"), ("b", "2")]);
    let job = context(&store);
    job.write("own", "x").await.unwrap();
    job.add("b", 1).await.unwrap();
    for key in ["a", "own", "a", "missing", "b"] {
        job.read(key).await.unwrap();
    }
    assert!(job.update_if_value_is("own", Some(b"x"), None).await.unwrap());
    assert!(!job.update_if_value_is("c", Some(b"x"), None).await.unwrap());
    job.scan("{t}:", 5).await.unwrap();
    job.scan("{t}:", 9).await.unwrap();
    let effects = job.finish().unwrap();
    let keys: Vec<_> = effects.reads.iter().map(|key| key.as_str()).collect();
    assert_eq!(keys, ["a", "missing", "b", "c"]);
    assert_eq!(effects.scans.len(), 1);
}

#[tokio::test]
async fn a_snapshot_job_has_no_read_set() {
    let store = MemoryStore::with(&[("a", "1")]);
    let job = with(Opening { isolation: Isolation::Snapshot, ..opening() }, &store);
    assert_eq!(job.read("a").await.unwrap().unwrap(), "1");
    assert!(job.finish().unwrap().is_empty());
}

#[tokio::test]
async fn limits_are_refused_and_change_nothing() {
    let store = MemoryStore::with(&[]);
    let job = context(&store);
    assert_eq!(code(job.read("").await), Code::BadRequest);
    assert_eq!(code(job.write("a\nb", "").await), Code::BadRequest);
    assert_eq!(code(job.write("k".repeat(KEY_BYTES + 1), "").await), Code::TooLarge);
    assert_eq!(code(job.write("k", vec![0; VALUE_BYTES + 1]).await), Code::TooLarge);
    assert_eq!(code(job.scan("no-tag", 1).await), Code::BadRequest);
    assert_eq!(code(job.scan("{t}:", 0).await), Code::BadRequest);
    assert_eq!(code(job.scan("{t}:", 1001).await), Code::BadRequest);
    assert!(job.finish().unwrap().is_empty());
}

#[tokio::test]
async fn the_write_set_is_bounded_in_bytes() {
    let store = MemoryStore::with(&[]);
    let job = context(&store);
    job.write("a", vec![0; VALUE_BYTES]).await.unwrap();
    job.write("b", vec![0; WRITE_SET_BYTES - VALUE_BYTES - 2]).await.unwrap();
    assert_eq!(code(job.write("c", "").await), Code::TooLarge);
    assert_eq!(code(job.write("b", vec![0; VALUE_BYTES]).await), Code::TooLarge);
    // A shorter value makes room again.
    job.write("b", "").await.unwrap();
    job.write("c", "x").await.unwrap();
    assert_eq!(job.finish().unwrap().write_bytes(), VALUE_BYTES + 4);
}

#[tokio::test]
async fn read_and_write_sets_are_bounded_in_keys_over_all_steps() {
    let store = MemoryStore::with(&[]);
    let first = context(&store);
    for n in 0..SET_KEYS - 1 {
        first.add(format!("w{n}"), 1).await.unwrap();
        first.read(format!("r{n}")).await.unwrap();
    }
    let effects = first.finish().unwrap();
    let second = with(Opening { effects, step: 1, ..opening() }, &store);
    second.read("one more").await.unwrap();
    second.write("one more", "").await.unwrap();
    assert_eq!(code(second.read("too many").await), Code::TooLarge);
    assert_eq!(code(second.scan("{t}:", 1).await), Code::TooLarge);
    assert_eq!(code(second.write("too many", "").await), Code::TooLarge);
    // What is there already still works.
    second.read("r5").await.unwrap();
    second.add("w5", 1).await.unwrap();
    let effects = second.finish().unwrap();
    assert_eq!((effects.reads.len(), effects.writes.len()), (SET_KEYS, SET_KEYS));
}

#[tokio::test]
async fn adding_to_a_text_fails_where_it_can_be_seen() {
    let store = MemoryStore::with(&[("text", "abc"), ("max", &i64::MAX.to_string())]);
    let job = context(&store);
    job.write("own", "abc").await.unwrap();
    assert_eq!(code(job.add("own", 1).await), Code::OperatorFailed);
    assert_eq!(job.read("own").await.unwrap().unwrap(), "abc");
    job.add("text", 1).await.unwrap();
    assert_eq!(code(job.read("text").await), Code::OperatorFailed);
    job.add("max", 1).await.unwrap();
    assert_eq!(code(job.read("max").await), Code::OperatorFailed);
    job.add("sum", i64::MAX).await.unwrap();
    assert_eq!(code(job.add("sum", 1).await), Code::OperatorFailed);
    job.delete("max").await.unwrap();
    job.add("max", 2).await.unwrap();
    assert_eq!(job.read("max").await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn after_its_end_a_step_changes_nothing() {
    for isolation in [Isolation::Serializable, Isolation::Latest] {
        let store = MemoryStore::with(&[("k", "v")]);
        let job = with(Opening { isolation, ..opening() }, &store);
        let leaked = job.clone();
        job.write("k", "x").await.unwrap();
        let before = store.writes.lock().unwrap().len();
        assert!(job.finish().is_some());
        assert!(leaked.finish().is_none());
        assert_eq!(code(leaked.write("k", "late").await), Code::Cancelled);
        assert_eq!(code(leaked.read("k").await), Code::Cancelled);
        assert_eq!(code(leaked.scan("{t}:", 1).await), Code::Cancelled);
        assert_eq!(code(leaked.update_if_value_is("k", None, None).await), Code::Cancelled);
        assert_eq!(store.writes.lock().unwrap().len(), before);
    }
}

#[tokio::test]
async fn a_read_that_is_under_way_when_the_step_ends_is_refused() {
    let store = MemoryStore::with(&[("k", "v")]);
    let job = context(&store);
    let leaked = job.clone();
    let update =
        tokio::spawn(async move { leaked.update_if_value_is("k", Some(b"v"), None).await });
    tokio::task::yield_now().await;
    let effects = job.finish().unwrap();
    assert_eq!(code(update.await.unwrap()), Code::Cancelled);
    assert!(effects.writes.is_empty());
}

#[tokio::test]
async fn latest_takes_effect_at_once_and_a_second_attempt_is_the_same_request() {
    let store = MemoryStore::with(&[("stock", "5")]);
    let latest = || Opening { isolation: Isolation::Latest, ..opening() };
    let ids = |store: &MemoryStore| -> Vec<_> {
        store.writes.lock().unwrap().drain(..).map(|write| write.request).collect()
    };
    let job = with(latest(), &store);
    assert!(job.update_if_value_is("stock", Some(b"5"), Some(b"4")).await.unwrap());
    assert!(!job.update_if_value_is("stock", Some(b"5"), Some(b"4")).await.unwrap());
    job.add("stock", -1).await.unwrap();
    assert_eq!(store.latest("stock").as_deref(), Some("3"));
    assert_eq!(job.read("stock").await.unwrap().unwrap(), "3");
    assert!(job.finish().unwrap().is_empty());
    let first = ids(&store);
    assert_eq!(first.len(), 3);
    assert!(first[0] != first[1] && first[1] != first[2]);

    let again = with(latest(), &store);
    again.add("stock", 0).await.unwrap();
    let other_step = with(Opening { step: 1, ..latest() }, &store);
    other_step.add("stock", 0).await.unwrap();
    let second = ids(&store);
    assert_eq!(second[0], first[0]);
    assert_ne!(second[1], first[0]);
    assert_eq!(code(again.write("k", vec![0; VALUE_BYTES + 1]).await), Code::TooLarge);
}

#[tokio::test]
async fn what_another_attempt_writes_in_another_order_is_the_same() {
    let store = MemoryStore::with(&[]);
    let latest = || Opening { isolation: Isolation::Latest, ..opening() };
    let names = async |order: [&str; 4]| -> Vec<_> {
        let job = with(latest(), &store);
        for key in order {
            job.add(key, 1).await.unwrap();
        }
        let written = store.writes.lock().unwrap().drain(..).collect::<Vec<_>>();
        let mut names: Vec<_> =
            written.into_iter().map(|write| (write.mutation.key, write.request)).collect();
        names.sort();
        names
    };
    let first = names(["a", "b", "a", "c"]).await;
    assert_eq!(names(["c", "a", "b", "a"]).await, first);
    let mut ids: Vec<_> = first.iter().map(|(_, request)| request).collect();
    ids.dedup();
    assert_eq!(ids.len(), 4, "each its own");
    let job = with(latest(), &store);
    for number in 0..SET_KEYS {
        job.add(&format!("k{number}"), 1).await.unwrap();
    }
    assert_eq!(code(job.add("one-more", 1).await), Code::TooLarge);
    job.add("k7", 1).await.unwrap();
}

#[tokio::test]
async fn faults_of_the_store_are_passed_on() {
    let store = MemoryStore::with(&[]);
    *store.broken.lock().unwrap() = true;
    let job = context(&store);
    assert_eq!(code(job.read("k").await), Code::Unavailable);
    assert_eq!(code(job.scan("{t}:", 1).await), Code::Unavailable);
    assert_eq!(code(job.update_if_value_is("k", None, None).await), Code::Unavailable);
}

#[tokio::test]
async fn scans_go_on_behind_a_key_and_refuse_too_much() {
    let store = MemoryStore::with(&[("{t}:a", "1"), ("{t}:c", "3"), ("{u}:x", "9")]);
    let job = context(&store);
    job.write("{t}:b", "2").await.unwrap();
    let page = job.scan("{t}:", 2).await.unwrap();
    let keys: Vec<_> = page.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["{t}:a", "{t}:b"]);
    let rest = job.scan_after("{t}:", Some(&page[1].0), 2).await.unwrap();
    assert_eq!(rest.len(), 1);
    let long = "x".repeat(VALUE_BYTES);
    for n in 0..40 {
        store.set(&format!("{{big}}:{n}"), 1, Some(&long));
    }
    assert_eq!(code(job.scan("{big}:", 1000).await), Code::TooLarge);
    assert_eq!(job.scan("{big}:", 30).await.unwrap().len(), 30);
}

#[tokio::test]
async fn clones_that_update_at_the_same_time_do_not_overwrite_each_other() {
    let store = MemoryStore::with(&[("k", "free")]);
    let job = context(&store);
    let take = |who: &'static [u8]| {
        let job = job.clone();
        async move { job.update_if_value_is("k", Some(b"free"), Some(who)).await.unwrap() }
    };
    let (one, other) = tokio::join!(take(b"one"), take(b"other"));
    assert!(one ^ other, "exactly one of them");
}
