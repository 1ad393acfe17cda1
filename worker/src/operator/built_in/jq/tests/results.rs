//! What filters do, and how they fail.

use super::{jq, jq_with};
use crate::operator::built_in::jq::budget::Limits;
use crate::operator::built_in::jq::program::{Form, Program};
use crate::operator::built_in::jq::threads::{Ticket, with_large_stack};
use crate::operator::built_in::jq::weave::guard_def;
use bytes::Bytes;
use catena_protocol::Code;
use jaq_core::load::parse::Def;

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
                with_large_stack(move || {
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
            assert_eq!(run(guard_def), run(|def| def), "{filter} on {input}");
        }
    }
}
