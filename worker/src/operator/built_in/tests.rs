//! Every built-in operator: what it does, settings that are wrong, inputs that are wrong.

use crate::operator::memory_store::{MemoryStore, context, opening};
use crate::operator::{Configured, Context, Opening, Output, Registry};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::limit::{PAYLOAD_BYTES, SET_KEYS, VALUE_BYTES};
use catena_protocol::message::handoff::Effects;
use catena_protocol::message::write::{Change, Mutation};
use catena_protocol::{Code, Fault};
use std::collections::BTreeSet;
use std::sync::Arc;

fn configure(operator: &str, settings: &str) -> Result<Configured, Fault> {
    Registry::built_in().configure(operator, settings)
}

async fn run_in(context: &Context, operator: &str, settings: &str, input: &[u8]) -> Output {
    let configured = configure(operator, settings).unwrap();
    let input = Bytes::copy_from_slice(input);
    let now = configured.operator.run_now(&input);
    let later = Arc::clone(&configured.operator).run(context.clone(), input).await;
    if let Some(now) = now {
        assert_eq!(configured.effect, Effect::Pure, "only pure operators run at once");
        assert_eq!(now, later);
    }
    later
}

/// The result, as a job with just this step would have it.
async fn run(operator: &str, settings: &str, input: &str) -> Result<String, Fault> {
    let context = context(&MemoryStore::with(&[]));
    let output = run_in(&context, operator, settings, input.as_bytes()).await?;
    Ok(String::from_utf8(output.to_vec()).unwrap())
}

/// The result and the writes over a store with these values.
async fn run_on(
    values: &[(&str, &str)],
    operator: &str,
    settings: &str,
    input: &str,
) -> (Result<String, Fault>, Effects) {
    let store = MemoryStore::with(values);
    let effect = configure(operator, settings).unwrap().effect;
    let context = Context::open(Opening { effect, ..opening() }, store);
    let output = run_in(&context, operator, settings, input.as_bytes()).await;
    let output = output.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    (output, context.finish().unwrap())
}

fn writes(effects: &Effects) -> Vec<(String, String)> {
    let text = |change: &Change| match change {
        Change::Put(value) => String::from_utf8(value.0.to_vec()).unwrap(),
        Change::Delete => "deleted".to_owned(),
        Change::Add(delta) => format!("{delta:+}"),
    };
    let write = |Mutation { key, change }: &Mutation| (key.to_string(), text(change));
    effects.writes.iter().map(write).collect()
}

fn one(key: &str, value: &str) -> Vec<(String, String)> {
    vec![(key.to_owned(), value.to_owned())]
}

fn good_settings(operator: &str) -> &'static str {
    match operator {
        "append" | "get" | "increment" | "put" | "update-if-value-is" => r#"{"key":"k"}"#,
        "jq" => r#"{"filter":"."}"#,
        "sleep" => r#"{"for":0}"#,
        _ => "",
    }
}

#[test]
fn every_operator_is_offered_once_with_a_line_of_help() {
    let offers = Registry::built_in().offers();
    let names: BTreeSet<_> = offers.iter().map(|offer| offer.name.clone()).collect();
    assert_eq!(names.len(), super::ALL.len());
    for offer in offers {
        assert!(!offer.native && offer.help.len() > 20 && !offer.help.contains('\n'));
        let configured = configure(offer.name.as_str(), good_settings(offer.name.as_str()));
        assert!(configured.unwrap().effect <= offer.effect, "{}", offer.name);
    }
}

#[test]
fn settings_that_nobody_knows_are_refused_by_every_operator() {
    for offer in Registry::built_in().offers() {
        let name = offer.name.as_str();
        for bad in [r#"{"colour":"red"}"#, "[1,2,3,4,5,6,7,8,9,10]", "1", "\"text\""] {
            let fault = configure(name, bad).err().unwrap_or_else(|| panic!("{name} took {bad}"));
            assert_eq!(fault.code, Code::BadRequest);
            assert!(fault.message.contains(name), "{fault}");
        }
    }
}

#[test]
fn wrong_settings_say_what_is_wrong() {
    for (operator, settings, part) in [
        ("split", r#"{"on":""}"#, "`on`"),
        ("split", r#"{"on":7}"#, "string"),
        ("sleep", "", "for"),
        ("sleep", r#"{"for":"soon"}"#, "soon"),
        ("sleep", r#"{"for":"2h"}"#, "no job runs longer"),
        ("get", "", "`key_from`"),
        ("get", r#"{"key":"a","key_from":"/b"}"#, "either"),
        ("get", r#"{"key_from":"id"}"#, "pointer"),
        ("get", r#"{"key":""}"#, "empty"),
        ("put", r#"{"key":"a","value":1,"value_from":"/x"}"#, "both"),
        ("put", r#"{"key":"a","value_from":"x"}"#, "pointer"),
        ("increment", r#"{"key":"a","by":1.5}"#, "1.5"),
        ("update-if-value-is", r#"{"key":"a","else":"maybe"}"#, "maybe"),
        ("update-if-value-is", r#"{"key":"a","expected":1,"expected_from":"/x"}"#, "both"),
        ("word-count", r#"{"store":"yes"}"#, "boolean"),
        ("jq", "", "filter"),
        ("jq", r#"{"filter":".["}"#, "compile"),
    ] {
        let fault = configure(operator, settings).err().unwrap_or_else(|| panic!("{settings}"));
        assert_eq!(fault.code, Code::BadRequest);
        assert!(fault.message.contains(part), "{operator} {settings}: {fault}");
    }
}

#[tokio::test]
async fn texts_are_changed() {
    for (operator, settings, input, expected) in [
        ("echo", "", "as it is\0", "as it is\0"),
        ("uppercase", "", "straße", "STRASSE"),
        ("lowercase", "", "ÀB", "àb"),
        ("trim", "", " \t a b\n", "a b"),
        ("trim", "", "", ""),
        ("split", "", "a\r\nb\n\nc\n", r#"["a","b","","c"]"#),
        ("split", r#"{"on":", "}"#, "a, \"b\"", r#"["a","\"b\""]"#),
        ("split", r#"{"on":","}"#, "", r#"[""]"#),
        (
            "word-count",
            "",
            "To be, or NOT to be. Don't 'quote'!",
            r#"{"be":2,"don't":1,"not":1,"or":1,"quote":1,"to":2}"#,
        ),
        ("word-count", "", " ' -- ", "{}"),
        ("word-count", "", "Größe größe 42", r#"{"42":1,"größe":2}"#),
        ("sleep", r#"{"for":"1ms"}"#, "x", "x"),
    ] {
        assert_eq!(run(operator, settings, input).await.unwrap(), expected, "{operator}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_fail_where_text_is_needed() {
    let context = context(&MemoryStore::with(&[]));
    for operator in ["uppercase", "lowercase", "trim", "split", "word-count", "jq"] {
        let fault =
            run_in(&context, operator, good_settings(operator), b"a\xff\xfe").await.unwrap_err();
        assert_eq!(fault.code, Code::OperatorFailed, "{operator}");
        assert!(fault.message.contains("UTF-8"), "{fault}");
    }
    assert_eq!(run_in(&context, "echo", "", b"\xff").await.unwrap(), &b"\xff"[..]);
}

#[tokio::test]
async fn results_that_are_too_long_are_refused() {
    let commas = ",".repeat(PAYLOAD_BYTES);
    assert_eq!(run("split", r#"{"on":","}"#, &commas).await.unwrap_err().code, Code::TooLarge);
    // Each of these letters is two in capitals.
    let ligatures = "ŉ".repeat(PAYLOAD_BYTES / 2);
    assert_eq!(run("uppercase", "", &ligatures).await.unwrap_err().code, Code::TooLarge);
}

#[test]
fn long_inputs_do_not_run_on_the_loop() {
    let long = Bytes::from(vec![b'a'; 100_000]);
    assert!(configure("uppercase", "").unwrap().operator.run_now(&long).is_none());
    assert!(configure("uppercase", "").unwrap().operator.run_now(&long.slice(..10)).is_some());
    assert!(configure("echo", "").unwrap().operator.run_now(&long).is_some());
    assert!(configure("sleep", r#"{"for":0}"#).unwrap().operator.run_now(&long).is_none());
}

#[tokio::test]
async fn fail_fails() {
    let fault = run("fail", r#"{"message":"out of stock"}"#, "").await.unwrap_err();
    assert_eq!((fault.code, fault.message.as_str()), (Code::OperatorFailed, "out of stock"));
    assert!(run("fail", "", "").await.is_err());
}

#[tokio::test]
async fn get_reads_keys_from_settings_and_inputs() {
    let values = [("stock:nut", "5"), ("7", "seven")];
    for (settings, input, expected) in [
        (r#"{"key":"stock:nut"}"#, "no json", "5"),
        (r#"{"key":"nut","prefix":"stock:"}"#, "", "5"),
        (r#"{"key_from":"/item","prefix":"stock:"}"#, r#"{"item":"nut"}"#, "5"),
        (r#"{"key_from":""}"#, "7", "seven"),
        (r#"{"key":"none","default":0}"#, "", "0"),
        (r#"{"key":"none","default":"-"}"#, "", "-"),
    ] {
        let (output, effects) = run_on(&values, "get", settings, input).await;
        assert_eq!(output.unwrap(), expected, "{settings}");
        assert_eq!(effects.reads.len(), 1);
    }
    for (settings, input, part) in [
        (r#"{"key":"none"}"#, "", "`none` has no value"),
        (r#"{"key_from":"/item"}"#, "", "empty"),
        (r#"{"key_from":"/item"}"#, "{", "JSON"),
        (r#"{"key_from":"/item"}"#, "{}", "nothing at `/item`"),
        (r#"{"key_from":"/item"}"#, r#"{"item":[]}"#, "neither"),
        (r#"{"key_from":"/item"}"#, r#"{"item":""}"#, "empty"),
    ] {
        let fault = run_on(&values, "get", settings, input).await.0.unwrap_err();
        assert_eq!(fault.code, Code::OperatorFailed);
        assert!(fault.message.contains(part), "{settings} {input}: {fault}");
    }
}

#[tokio::test]
async fn put_writes_and_passes_on() {
    for (settings, input, key, value) in [
        (r#"{"key":"k"}"#, "body", "k", "body"),
        (r#"{"key":"k","value":{"a":1}}"#, "body", "k", r#"{"a":1}"#),
        (r#"{"key":"k","value":"text"}"#, "body", "k", "text"),
        (r#"{"key":"k","value":null}"#, "body", "k", "deleted"),
        (r#"{"key_from":"/id","value_from":"/v"}"#, r#"{"id":"x","v":[1]}"#, "x", "[1]"),
    ] {
        let (output, effects) = run_on(&[], "put", settings, input).await;
        assert_eq!(output.unwrap(), input);
        assert_eq!(writes(&effects), one(key, value), "{settings}");
        assert!(effects.reads.is_empty());
    }
    let long = "x".repeat(VALUE_BYTES + 1);
    let (output, effects) = run_on(&[], "put", r#"{"key":"k"}"#, &long).await;
    assert_eq!(output.unwrap_err().code, Code::TooLarge);
    assert!(effects.is_empty());
}

#[tokio::test]
async fn increment_adds_without_reading() {
    let (output, effects) = run_on(&[("k", "1")], "increment", r#"{"key":"k"}"#, "in").await;
    assert_eq!((output.unwrap().as_str(), writes(&effects)), ("in", one("k", "+1")));
    assert!(effects.reads.is_empty());
    let settings = r#"{"key_from":"/id","prefix":"n:","by":-3}"#;
    let (_, effects) = run_on(&[], "increment", settings, r#"{"id":4}"#).await;
    assert_eq!(writes(&effects), one("n:4", "-3"));
}

#[tokio::test]
async fn append_puts_parts_behind_each_other() {
    let (_, effects) = run_on(&[], "append", r#"{"key":"k"}"#, "first").await;
    assert_eq!(writes(&effects), one("k", "first"));
    let (_, effects) = run_on(&[("k", "first")], "append", r#"{"key":"k"}"#, "second").await;
    assert_eq!(writes(&effects), one("k", "first\nsecond"));
    let settings = r#"{"key":"k","separator":""}"#;
    let (_, effects) = run_on(&[("k", "a")], "append", settings, "b").await;
    assert_eq!(writes(&effects), one("k", "ab"));
    let full = "x".repeat(VALUE_BYTES);
    let (output, effects) = run_on(&[("k", &full)], "append", settings, "b").await;
    assert_eq!(output.unwrap_err().code, Code::TooLarge);
    assert!(effects.writes.is_empty());
}

#[tokio::test]
async fn update_if_value_is_compares_first() {
    let stock = [("stock", "5")];
    let none = Vec::new;
    for (settings, input, result, written) in [
        (r#"{"key":"stock","expected":5,"value":4}"#, "x", "true", one("stock", "4")),
        (r#"{"key":"stock","expected":"6","value":4}"#, "x", "false", none()),
        (r#"{"key":"stock","value":4}"#, "x", "false", none()),
        (r#"{"key":"new"}"#, "body", "true", one("new", "body")),
        (r#"{"key":"stock","expected":5,"value":null}"#, "", "true", one("stock", "deleted")),
        (
            r#"{"key":"stock","expected_from":"/old","value_from":"/new","else":"fail"}"#,
            r#"{"old":5,"new":4}"#,
            r#"{"old":5,"new":4}"#,
            one("stock", "4"),
        ),
    ] {
        let (output, effects) = run_on(&stock, "update-if-value-is", settings, input).await;
        assert_eq!(output.unwrap(), result, "{settings}");
        assert_eq!(writes(&effects), written, "{settings}");
    }
    let settings = r#"{"key":"stock","expected":6,"value":4,"else":"fail"}"#;
    let (output, effects) = run_on(&stock, "update-if-value-is", settings, "").await;
    assert_eq!(output.unwrap_err().code, Code::OperatorFailed);
    assert!(effects.writes.is_empty());
}

#[tokio::test]
async fn word_count_adds_to_the_store_if_told_so() {
    let plain = configure("word-count", "").unwrap();
    assert_eq!(plain.effect, Effect::Pure);
    let settings = r#"{"store":true,"prefix":"w:"}"#;
    let (output, effects) = run_on(&[], "word-count", settings, "b a b").await;
    assert_eq!(output.unwrap(), r#"{"a":1,"b":2}"#);
    let expected = vec![("w:a".to_owned(), "+1".to_owned()), ("w:b".to_owned(), "+2".to_owned())];
    assert_eq!(writes(&effects), expected);
    let many: String = (0..=SET_KEYS).map(|n| format!("w{n} ")).collect();
    let (output, _) = run_on(&[], "word-count", settings, &many).await;
    assert_eq!(output.unwrap_err().code, Code::TooLarge);
}
