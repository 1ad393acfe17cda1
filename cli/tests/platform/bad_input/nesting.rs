//! Things inside things inside things: a stack that overflows would take the whole process.

use crate::support::Platform;
use std::time::{Duration, Instant};

const DEEP: usize = 60_000;
/// Headers are limited by the server's longest line of control and by its `max_payload`.
const IN_HEADER: usize = 30_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_nesting_is_refused_everywhere() {
    let mut platform = Platform::start().await;
    let before = platform.everything().await;
    let open = |text: &str, times: usize| text.repeat(times);
    let jq = |filter: &str| {
        // A filter that never ends is stopped by the time limit of its step.
        let step = serde_json::json!({ "operator": "jq", "settings": { "filter": filter } });
        serde_json::json!({ "steps": [step], "deadline": "400ms" }).to_string()
    };
    let began = Instant::now();
    for (bracket, close) in [("[", "]"), ("{\"a\":", "}")] {
        for closed in ["", close] {
            let count = IN_HEADER / bracket.len();
            let text = format!("{}1{}", open(bracket, count), open(closed, count));
            platform.inline(&text, "x").await.bad(400);
            platform.ask("catena.chain.deep.set", &[], text.clone()).await.bad(400);
            platform.ask("catena.storage.update-if-value-is.a", &[], text.clone()).await.bad(400);
            platform.ask("catena.storage.scan", &[], text.clone()).await.bad(400);
            platform.ask("catena.operator.deep.set", &[], text).await.bad(400);
        }
    }
    let settings = format!(
        r#"[{{"operator":"echo","settings":{}1{}}}]"#,
        open("[", IN_HEADER / 2),
        open("]", IN_HEADER / 2)
    );
    platform.inline(&settings, "x").await.bad(400);
    platform.ask("catena.chain.deep.set", &[], settings).await.bad(400);

    for (left, middle, right) in
        [("(", ".", ")"), ("[", ".", "]"), ("-", "1", ""), ("{a:", "1", "}"), (".[", "0", "]")]
    {
        for count in [200, 5_000, IN_HEADER / left.len().max(2)] {
            let filter = format!("{}{middle}{}", open(left, count), open(right, count));
            // Deep but not too deep may run; what counts is that there is an answer.
            platform.inline(&jq(&filter), "0").await;
            platform.ask("catena.chain.deep.set", &[], jq(&filter)).await;
        }
    }
    for filter in [
        format!("1{}", open("+1", IN_HEADER / 2)),
        format!(".{}", open("|.", IN_HEADER / 2)),
        format!("0{}", open(" as $x|0", IN_HEADER / 8)),
        open("if . then ", IN_HEADER / 10),
        open("def f: ", IN_HEADER / 7),
        open("try ", IN_HEADER / 4),
        open("reduce . as $x (", IN_HEADER / 16),
        format!("\"{}", open("\\(\"", IN_HEADER / 3)),
        "def f: f; f".to_owned(),
        "def f: [f]; f".to_owned(),
        "def f(g): f(g|g); f(.)".to_owned(),
        "[limit(100000000; repeat(1))]".to_owned(),
        "reduce range(100000000) as $i (.; [.])".to_owned(),
        "last(range(1e12))".to_owned(),
        "\"x\" * 1e12".to_owned(),
        "[range(1e9)] | length".to_owned(),
    ] {
        let headers = [("Catena-Chain", jq(&filter))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let shown: String = filter.chars().take(40).collect();
        let answer = platform.ask("catena.run.inline", &headers, "0").await;
        let code = answer.header("Nats-Service-Error-Code").map(str::to_owned);
        assert_ne!(code.as_deref(), Some("500"), "{shown}: {answer:?}");
    }
    platform.still_works().await;
    // The filter is small, the input is deep, or becomes so.
    let input = format!("{}{}", open("[", DEEP), open("]", DEEP));
    for filter in [".", "flatten", "tojson", "[..]|length", "tostream", "walk(.)"] {
        platform.inline(&jq(filter), input.clone()).await;
    }
    for chain in ["word-count", "uppercase", "split"] {
        platform.inline(chain, input.clone()).await;
    }
    for filter in ["fromjson", "fromjson|tojson", "fromjson|flatten"] {
        platform.inline(&jq(filter), serde_json::to_string(&input).unwrap()).await;
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    platform.unharmed(&before).await;
    platform.stop().await;
}
