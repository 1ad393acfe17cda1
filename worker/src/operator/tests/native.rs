//! Operators that a worker's author adds.

use crate::operator::memory_store::{MemoryStore, context};
use crate::operator::{Context, Registry};
use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::{Code, Fault};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    item: String,
    count: i64,
}

#[derive(Serialize)]
struct Reserved {
    left: i64,
}

async fn reserve(context: Context, order: Order) -> Result<Reserved, Fault> {
    context.add(&order.item, -order.count).await?;
    let left = context.read(&order.item).await?.unwrap_or_default();
    let left = std::str::from_utf8(&left).ok().and_then(|text| text.parse().ok());
    Ok(Reserved { left: left.unwrap_or_default() })
}

fn registry() -> Registry {
    Registry::built_in()
        .native("greet", Effect::Pure, "greets", |context, _| async move {
            let name = context.settings()["name"].as_str().unwrap_or("nobody").to_owned();
            Ok(Bytes::from(format!("hello {name}")))
        })
        .unwrap()
        .typed("reserve", Effect::Writing, "reserves", reserve)
        .unwrap()
}

#[tokio::test]
async fn a_closure_sees_its_settings() {
    let store = MemoryStore::with(&[]);
    let greet = registry().configure("greet", r#"{"name":"you"}"#).unwrap();
    assert_eq!(greet.effect, Effect::Pure);
    let output = greet.operator.run(context(&store), Bytes::new()).await.unwrap();
    assert_eq!(output, "hello you");
}

#[tokio::test]
async fn a_typed_operator_speaks_json() {
    let store = MemoryStore::with(&[("nut", "5")]);
    let reserve = registry().configure("reserve", "").unwrap().operator;
    let input = Bytes::from_static(br#"{"item":"nut","count":2}"#);
    let output = reserve.clone().run(context(&store), input).await.unwrap();
    assert_eq!(output, r#"{"left":3}"#);
    for bad in ["", "[1]", r#"{"item":"nut"}"#, "\u{0}"] {
        let fault = reserve.clone().run(context(&store), bad.into()).await.unwrap_err();
        assert_eq!(fault.code, Code::OperatorFailed, "{bad}");
    }
}

#[test]
fn names_are_names_and_taken_once() {
    let add =
        |name: &str| registry().native(name, Effect::Pure, "", |_, input| async move { Ok(input) });
    assert_eq!(add("no.name").unwrap_err().code, Code::BadRequest);
    assert_eq!(add("echo").unwrap_err().code, Code::Conflict);
    assert_eq!(add("greet").unwrap_err().code, Code::Conflict);
    let offers = add("other").unwrap().offers();
    assert!(offers.iter().any(|offer| offer.name.as_str() == "other" && offer.native));
    assert!(offers.iter().any(|offer| offer.name.as_str() == "echo" && !offer.native));
}

#[test]
fn unknown_operators_and_settings_that_are_not_json_are_refused() {
    let registry = registry();
    assert_eq!(registry.configure("nope", "").err().unwrap().code, Code::NotFound);
    assert_eq!(registry.configure("a b", "").err().unwrap().code, Code::NotFound);
    assert_eq!(registry.configure("echo", "{").err().unwrap().code, Code::BadRequest);
}
