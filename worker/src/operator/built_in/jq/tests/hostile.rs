//! Filters that would hang, flood or crash the worker if they had no bounds.

use super::jq;
use crate::operator::built_in::jq::budget::Limits;
use crate::operator::built_in::jq::program::{Form, Program};
use crate::operator::built_in::jq::threads::{Threads, Ticket};
use bytes::Bytes;
use catena_protocol::limit::PAYLOAD_BYTES;
use catena_protocol::{Code, Fault};
use catena_testing::within;

/// Each of these would run for ever, fill the memory, or overflow the stack.
const HOSTILE: [&str; 32] = [
    "def f: f; f",
    "def f: 1 + f; f",
    "def f: [f]; f",
    "def f(x): f(x | x); f(.)",
    "def f: def g: f; g | g; f",
    "def f: try f catch f; f",
    "def f: (f, f); f",
    "def f: ., f; [f]",
    "range(1e15) | empty",
    "[range(1e15)]",
    "reduce range(1e15) as $x (0; . + 1)",
    "last(range(1e15))",
    "repeat(1) | empty",
    "[repeat(1)]",
    "until(false; .)",
    "while(true; .) | empty",
    "[recurse(. + 1)] | length",
    "reduce range(100) as $i (\"x\"; . + .)",
    "reduce range(100) as $i (\"x\"; . * 2)",
    "reduce range(100) as $i ([0]; . + .)",
    "{a: \"x\"} | reduce range(100) as $i (.; .a += .a)",
    "{a: \"x\"} | reduce range(100) as $i (.; .a *= 2)",
    "\"x\" * 1000000000000",
    "\"x\" * 100000000000000000000000000",
    "reduce range(100) as $i (3; . * .)",
    "reduce range(100) as $i ([]; [., .])",
    "reduce range(100) as $i ([]; [., .]) | tojson",
    "reduce range(100) as $i ([]; [., .]) | tostring",
    "reduce range(100) as $i ([]; {a: ., b: .}) | \"\\(.)\"",
    "reduce range(100) as $i ([]; [., .]) | [..] | length",
    "\"[\" * 10000000 | fromjson",
    "[range(3000)] | [.[] as $a | .[] as $b | .[] as $c | $a] | length",
];

/// Runs a filter that must fail, with these limits.
async fn fails(filter: &'static str, limits: Limits) -> Fault {
    let work = move |ticket: &Ticket| {
        let program = Program::compile(filter)?;
        program.run(&Bytes::from_static(b"null"), Form::default(), limits, ticket)
    };
    let output = within(60, "the end of the filter", Threads::shared().run(work)).await;
    let fault = match output {
        Ok(output) => panic!("{filter} gave {output:.100?}"),
        Err(fault) => fault,
    };
    assert!(!fault.message.contains("panicked"), "{filter}: {fault}");
    fault
}

#[tokio::test]
async fn hostile_filters_end_only_their_own_step() {
    for filter in HOSTILE {
        let fault = fails(filter, Limits { steps: 50_000, ..Limits::default() }).await;
        let bounds = ["too many steps", "too deeply", "too large", "the result has"];
        assert!(bounds.iter().any(|bound| fault.message.contains(bound)), "{filter}: {fault}");
    }
    assert_eq!(jq(".", "1").await.unwrap(), "1");
}

#[tokio::test]
async fn the_limits_that_hold_outside_tests_fit_the_stack() {
    for (filter, bound) in [
        ("reduce range(10000000) as $i ([]; [.]) | length", "too many arrays"),
        ("reduce range(10000000) as $i ({}; {a: .}) | length", "too many arrays"),
        (
            "[limit(300000; repeat(0))] as $p | reduce $p[] as $i (0; [.]) | setpath($p; 1)",
            "too deeply",
        ),
        ("def f: [f]; f", "too deeply"),
        ("def f: 1 + f; f", "too deeply"),
        ("def f: . |= f; f", "too deeply"),
        ("last(range(1e15))", "too many steps"),
    ] {
        let fault = fails(filter, Limits::default()).await;
        assert!(fault.message.contains(bound), "{filter}: {fault}");
    }
    let fault = fails("reduce range(490000) as $i ([]; [.])", Limits::default()).await;
    assert_eq!(fault.code, Code::TooLarge);
}

#[tokio::test]
async fn deep_filters_and_deep_inputs_do_not_overflow() {
    let deep = |open: &str, middle: &str, close: &str, bytes: usize| {
        let times = bytes / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("-", "1", ""),
        ("1|", "1", ""),
        ("1+", "1", ""),
        (". as $x|", "1", ""),
        ("def f:", "1", ";1"),
        ("if 1 then ", "1", " end"),
        ("try ", "1", ""),
        ("\"\\(", "1", ")\""),
        ("{a:", "1", "}"),
        ("reduce ", "1", " as $x (1;1)"),
        ("f(", "1", ")"),
        (". as [", "$x", "]|1"),
        (".[", "1", "]"),
        ("label $x|", "1", ""),
    ] {
        // Whether it compiles and runs is not the point; that it ends is.
        let filter = deep(open, middle, close, 60_000);
        let _ = jq(&filter, "0").await;
        let _ = jq(&deep(open, "(", close, 60_000), "0").await;
    }
    let input = deep("[", "", "]", PAYLOAD_BYTES);
    assert_eq!(jq(".", &input).await.unwrap_err().code, Code::OperatorFailed);
    let allowed = deep("[", "", "]", 20_000);
    assert_eq!(jq(".", &allowed).await.unwrap(), allowed);
}

#[tokio::test]
async fn results_are_bounded_while_they_are_written() {
    let fault = jq("[limit(200000; repeat(\"abc\"))]", "0").await.unwrap_err();
    assert_eq!(fault.code, Code::TooLarge);
    let fault = jq("repeat(\"abc\")", "0").await.unwrap_err();
    assert_eq!(fault.code, Code::TooLarge);
    let most = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
    assert_eq!(jq(".", &most).await.unwrap(), most);
}
