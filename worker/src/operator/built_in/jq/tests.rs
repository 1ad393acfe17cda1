//! Filters: results, errors, and those that would hang, flood or crash the worker.

use super::guard::Limits;
use super::threads::{Threads, Ticket};
use super::{Form, Program, threads};
use crate::operator::memory_store::{MemoryStore, context};
use crate::operator::{Output, Registry};
use bytes::Bytes;
use catena_protocol::limit::PAYLOAD_BYTES;
use catena_protocol::{Code, Fault};
use catena_testing::within;
use jaq_core::load::parse::Def;
use std::sync::mpsc;
use std::time::Duration;

async fn jq_with(settings: serde_json::Value, input: &str) -> Output {
    let configured = Registry::built_in().configure("jq", &settings.to_string())?;
    let context = context(&MemoryStore::with(&[]));
    configured.operator.run(context, Bytes::copy_from_slice(input.as_bytes())).await
}

async fn jq(filter: &str, input: &str) -> Result<String, Fault> {
    let output = jq_with(serde_json::json!({"filter": filter}), input);
    let output = within(60, "the end of the filter", output).await?;
    Ok(String::from_utf8(output.to_vec()).unwrap())
}

#[tokio::test]
async fn results_are_json_in_lines() {
    for (filter, input, expected) in [
        (".", r#" {"b":1, "a":[true,null,"x"]} "#, r#"{"b":1,"a":[true,null,"x"]}"#),
        (".[]", "[1,[2],\"a\"]", "1\n[2]\n\"a\""),
        ("empty", "1", ""),
        (".a.b // 7", "{}", "7"),
        ("map(. * 2) | add", "[1,2,3]", "12"),
        ("[range(3)]", "0", "[0,1,2]"),
        ("[.[] as [$a, {b: $c}] | $a + $c]", r#"[[1,{"b":2}],[3,{"b":4}]]"#, "[3,7]"),
        ("def f(x): x * x; f(.)", "5", "25"),
        ("def fac: if . < 2 then 1 else . * (. - 1 | fac) end; fac", "5", "120"),
        ("[(1,2) * (10,100)]", "0", "[10,100,20,200]"),
        ("[(1,2) + (10,100)]", "0", "[11,101,12,102]"),
        ("\"ab\" * 3", "0", "\"ababab\""),
        ("\"ab\" * 0", "0", "null"),
        ("{a: {b: 1}} * {a: {c: 2}}", "0", r#"{"a":{"b":1,"c":2}}"#),
        (".a += 1 | .b *= 3", r#"{"a":1,"b":2}"#, r#"{"a":2,"b":6}"#),
        (".[] += 1", "[1,2]", "[2,3]"),
        ("map_values(. + 1)", r#"{"a":1}"#, r#"{"a":2}"#),
        ("walk(if type == \"number\" then . + 1 else . end)", "[1,[2]]", "[2,[3]]"),
        ("[..]", "[[1]]", "[[[1]],[1],1]"),
        ("del(.[0])", "[1,2]", "[2]"),
        ("[paths]", r#"{"a":[1]}"#, r#"[["a"],["a",0]]"#),
        ("path(.a[])", r#"{"a":[1,2]}"#, "[\"a\",0]\n[\"a\",1]"),
        ("to_entries", r#"{"a":1}"#, r#"[{"key":"a","value":1}]"#),
        ("[limit(3; repeat(1))]", "0", "[1,1,1]"),
        ("[.[] | tostring]", "[1,[2]]", r#"["1","[2]"]"#),
        ("\"<\\(.a)>\"", r#"{"a":[1]}"#, r#""<[1]>""#),
        ("tojson | fromjson", "[1]", "[1]"),
        ("reduce .[] as $x (0; . + $x)", "[1,2,3]", "6"),
        ("[foreach .[] as $x (0; . + $x)]", "[1,2,3]", "[1,3,6]"),
        ("try error(\"x\") catch .", "0", "\"x\""),
        ("[.[] | try (1 / .) catch \"no\"]", "[1, \"a\"]", "[1.0,\"no\"]"),
        ("label $out | .[] | if . > 1 then ., break $out else . end", "[1,2,3]", "1\n2"),
        ("gsub(\"a\"; \"b\")", "\"aXa\"", "\"bXb\""),
        ("[match(\"a\"; \"g\").offset]", "\"aXa\"", "[0,2]"),
        ("sort_by(.a) | group_by(.a) | length", r#"[{"a":1},{"a":0},{"a":1}]"#, "2"),
        ("@base64, @uri, @html", "\"a<b\"", "\"YTxi\"\n\"a%3Cb\"\n\"a&lt;b\""),
        ("ascii_downcase | split(\" \")", "\"A B\"", "[\"a\",\"b\"]"),
        ("[splits(\", *\")]", "\"a, b,c\"", r#"["a","b","c"]"#),
        ("flatten | unique | join(\"-\")", "[[1,[2]],1]", "\"1-2\""),
        ("combinations", "[[1],[2,3]]", "[1,2]\n[1,3]"),
        ("first(range(10;0;-1)), isempty(empty), any(.[]; . > 1)", "[1,2]", "10\ntrue\ntrue"),
        ("until(. > 100; . * 2)", "1", "128"),
        ("1e1000, -0, 1.0", "0", "1e1000\n0\n1.0"),
    ] {
        assert_eq!(
            jq(filter, input).await.unwrap_or_else(|f| panic!("{filter}: {f}")),
            expected,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn text_goes_in_and_out_as_it_is_if_wanted() {
    let raw = serde_json::json!({"filter": "split(\" \") | .[0]", "raw": true, "raw_output": true});
    assert_eq!(jq_with(raw, "a \"b\"").await.unwrap(), "a");
    let raw = serde_json::json!({"filter": "., length", "raw": true});
    assert_eq!(jq_with(raw, "ä\n").await.unwrap(), "\"ä\\n\"\n2");
}

#[tokio::test]
async fn wrong_inputs_and_failing_filters_say_why() {
    for (filter, input, part) in [
        (".", "", "empty"),
        (".", "{", "not JSON"),
        (".", "1 2", "not JSON"),
        (".a", "[1]", "jq: "),
        ("error(\"out of \\(.)\")", "\"nuts\"", "jq: out of nuts"),
        ("error({a: 1})", "0", "jq: {\"a\":1}"),
    ] {
        let fault = jq(filter, input).await.unwrap_err();
        assert_eq!(fault.code, Code::OperatorFailed);
        assert!(fault.message.contains(part), "{filter}: {fault}");
    }
    let long = jq("error(\"x\" * 1000000)", "0").await.unwrap_err();
    assert!(long.message.len() < 2_000);
}

#[tokio::test]
async fn filters_that_do_not_compile_say_where() {
    for (filter, part) in [
        ("", "expected"),
        (".[", "expected"),
        ("1 +", "at its end"),
        ("foo", "`foo`"),
        ("$x", "`$x`"),
        ("\"abc", "byte"),
        ("catena_main | !step", "expected"),
    ] {
        let fault = jq(filter, "0").await.unwrap_err();
        assert_eq!(fault.code, Code::BadRequest, "{filter}");
        assert!(fault.message.contains(part), "{filter}: {fault}");
    }
}

#[tokio::test]
async fn nothing_but_the_input_can_be_seen() {
    for filter in [
        "env",
        "$ENV",
        "input",
        "inputs",
        "halt",
        "halt_error",
        "halt(1)",
        "now",
        "localtime",
        "debug",
        "debug(1)",
        "stderr",
        "input_filename",
        "include \"a\"; 1",
        "import \"a\" as a; 1",
        "import \"/etc/passwd\" as $a; $a",
        "get_search_list",
        "stderr_empty",
    ] {
        let fault = jq(filter, "0").await.unwrap_err();
        assert_eq!(fault.code, Code::BadRequest, "{filter}: {fault}");
    }
}

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
        ("def f: .[0] |= f; f", "too deeply"),
        ("last(range(1e15))", "too many steps"),
    ] {
        let fault = fails(filter, Limits::default()).await;
        assert!(fault.message.contains(bound), "{filter}: {fault}");
    }
    let fault = fails("reduce range(990000) as $i ([]; [.])", Limits::default()).await;
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

/// Runs on `threads` until `until` is told, whether cancelled or not.
async fn stubborn(
    threads: &Threads,
    started: mpsc::Sender<()>,
    until: mpsc::Receiver<()>,
) -> Output {
    threads
        .run(move |_| {
            started.send(()).unwrap();
            until.recv().ok();
            Ok(Bytes::new())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_threads_are_kept_work_is_refused_at_once_and_later_goes_on() {
    let threads = Threads::new(2);
    let mut ends = Vec::new();
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let (started, has_started) = mpsc::channel();
        let (end, until) = mpsc::channel();
        let threads = threads.clone();
        stuck.push(tokio::spawn(async move { stubborn(&threads, started, until).await }));
        tokio::task::spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
        ends.push(end);
    }
    // Both threads are at work: this one waits.
    let waits = {
        let threads = threads.clone();
        tokio::spawn(async move { threads.run(|_| Ok(Bytes::new())).await })
    };
    let gives_up =
        tokio::time::timeout(Duration::from_millis(20), threads.run(|_| panic!("never")));
    assert!(gives_up.await.is_err());
    for step in stuck {
        step.abort();
        assert!(step.await.unwrap_err().is_cancelled());
    }
    let refused = within(10, "the refusal", waits).await.unwrap().unwrap_err();
    assert_eq!(refused.code, Code::TooBusy);
    let refused = within(10, "the refusal", threads.run(|_| Ok(Bytes::new()))).await.unwrap_err();
    assert!(refused.message.contains("do not stop"), "{refused}");

    drop(ends);
    within(10, "threads that work again", async {
        while threads.run(|_| Ok(Bytes::new())).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_whose_step_is_over_stops() {
    let threads = Threads::new(1);
    let program = threads::with_large_stack(|| Program::compile("def f: f; f")).unwrap().unwrap();
    let (started, has_started) = mpsc::channel();
    let (stopped, has_stopped) = mpsc::channel();
    let step = {
        let threads = threads.clone();
        tokio::spawn(async move {
            let work = move |ticket: &Ticket| {
                started.send(()).unwrap();
                let output = loop {
                    // Again and again, as if there were no limit of steps.
                    let output = program.run(
                        &Bytes::from_static(b"1"),
                        Form::default(),
                        Limits::default(),
                        ticket,
                    );
                    if ticket.is_cancelled() {
                        break output;
                    }
                };
                stopped.send(output.clone()).unwrap();
                output
            };
            threads.run(work).await
        })
    };
    tokio::task::spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
    step.abort();
    let output = tokio::task::spawn_blocking(move || {
        has_stopped.recv_timeout(Duration::from_secs(10)).unwrap()
    });
    assert!(output.await.unwrap().unwrap_err().message.contains("the step has ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_only_its_own_work() {
    let threads = Threads::new(1);
    let fault = threads.run(|_| panic!("a bug")).await.unwrap_err();
    assert!(fault.message.contains("a bug"), "{fault}");
    assert!(threads.run(|_| Ok(Bytes::new())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_filters_at_once_all_end() {
    let all = (0..200).map(|n| async move { jq(". + 1", &n.to_string()).await.unwrap() });
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().enumerate().all(|(n, result)| *result == (n + 1).to_string()));
}

#[tokio::test]
async fn bounds_do_not_change_what_filters_mean() {
    let inputs =
        ["null", "3", "\"a b\"", "[3,1,2]", "[[1],[2,[3]]]", r#"{"a":{"b":[1,2]},"c":"x"}"#];
    let filters = [
        ".",
        ".a",
        ".a?",
        ".[0]",
        ".[1:]",
        ".[]?",
        "..",
        "[..]",
        "first",
        "last",
        "length",
        "keys",
        "map(.)",
        "map(. + 1)",
        "map_values(.)",
        "add",
        "add // 0",
        "any",
        "all",
        "flatten",
        "unique",
        "range(.)",
        "[limit(2; .[])]",
        "first(.[])",
        "nth(1; .[])",
        "reverse",
        "sort",
        "tojson",
        "tostring",
        "tojson | fromjson",
        "to_entries",
        "with_entries(.value |= tostring)",
        "paths",
        "[paths(type == \"number\")]",
        "leaf_paths?",
        "path(..)",
        "[getpath([\"a\",\"b\"])?]",
        "setpath([\"a\"]; 1)",
        "delpaths([[\"a\"],[0]])",
        "del(.a)",
        "del(.[0])",
        "del(..)",
        "to_entries?",
        ".[] += 1",
        ".a.b[0] *= 3",
        ".a |= empty",
        ".. |= .",
        "(.. | numbers) += 1",
        ". + .",
        ". * 2",
        ". * .",
        "2 * .",
        ".a * .a",
        ". - 1",
        ". / 2",
        "-.",
        "[., .] | add",
        "walk(.)",
        "transpose",
        "walk(if type == \"number\" then . + 1 else . end)",
        "recurse(.[]?; . != 1)",
        "env?",
        "splits(\" \")",
        "sub(\"a\"; \"b\")",
        "[scan(\".\")]",
        "ascii",
        "implode",
        "explode",
        "ltrimstr(\"a\")",
        "@json",
        "@text",
        "@csv",
        "@sh",
        "\"\\(.) \\(.)\"",
        "@base64 \"x\\(.)\"",
        "{a: ., b: (1, 2)}",
        "{(\"k\", \"l\"): .}",
        "{a}?",
        "[.[] as [$a] ?// $a | $a]",
        ". as {a: {b: [$x]}} | $x",
        "reduce .[] as $x (0; . + 1)",
        "foreach .[] as $x (0; . + 1; [., $x])",
        "label $f | 1, break $f, 2",
        "try error catch .",
        "def f($n): if $n > 0 then $n, f($n - 1) else empty end; [f(3)]",
        "isempty(.[])",
        "error",
        "input",
        "limit(0; 1)",
        "until(. == null or true; .)",
        "[while(. != null; null)]",
        "combinations",
        "group_by(.)",
        "min_by(.)",
        "[repeat(1; .)]?",
        "in({})",
        "inside([])",
        "index(1)",
        "has(0)",
        "has(\"a\")",
        "getpath([0])",
        "pick(.a)",
        "abs",
        "tonumber",
        "ascii_downcase",
        "join(\",\")",
        "min, max",
        "(1, 2) as $x | $x + 1",
        "[.[]?] | length",
        "if . then 1 else 2 end",
        "if .a? then 1 end",
        "[1,2] == [1,2], 1 < \"a\"",
        "first(range(10; 0; -3))",
        "$__loc__",
        "splits(\"a\"; \"g\")",
    ];
    for filter in filters {
        for input in inputs {
            let run = move |guard: fn(Def<&str>) -> Def<&str>| {
                threads::with_large_stack(move || {
                    let program = Program::compile_with(filter, guard)?;
                    let ticket = Ticket::default();
                    program.run(
                        &Bytes::from_static(input.as_bytes()),
                        Form::default(),
                        Limits::default(),
                        &ticket,
                    )
                })
                .unwrap()
            };
            assert_eq!(run(super::guard::guard_def), run(|def| def), "{filter} on {input}");
        }
    }
}
