//! `catena chain`

use super::setup::Setup;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_are_defined_shown_and_deleted() {
    let setup = Setup::start().await;
    let said = setup.catena(&["chain", "list"]).await;
    assert_eq!((said.code, said.text().as_str()), (0, ""));
    assert!(said.err.contains("catena chain set"), "{said:?}");

    let set = setup.json(&["chain", "set", "shout", "trim,uppercase", "--json"]).await;
    assert_eq!(set["chain"], "shout");
    assert!(set["revision"].as_u64() > Some(0));
    let text = r#"{"steps": ["lowercase"], "deadline": "10s", "description": "small letters"}"#;
    let said = setup.catena_with(&["chain", "set", "quiet", "-"], text.as_bytes()).await;
    assert_eq!(said.code, 0, "{said:?}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"["echo"]"#).unwrap();
    let from_file = format!("@{}", file.path().display());
    setup.good(&["chain", "set", "same", &from_file]).await;

    let list = setup.good(&["chain", "list"]).await;
    let first: Vec<&str> = list.lines().map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(first, ["quiet", "same", "shout"]);
    assert!(list.contains("trim,uppercase") && list.contains("small letters"), "{list}");
    let list = setup.json(&["chain", "list", "--json"]).await;
    assert_eq!(list[2]["definition"]["steps"], json!(["trim", "uppercase"]));
    let shown: Value = setup.json(&["chain", "show", "quiet"]).await;
    assert_eq!(shown["deadline"], "10s");
    let shown = setup.json(&["chain", "show", "quiet", "--json"]).await;
    assert_eq!(shown["definition"]["steps"], json!(["lowercase"]));

    setup.good(&["chain", "delete", "shout"]).await;
    setup.bad(1, "`shout` is not defined", &["chain", "show", "shout"]).await;
    setup.bad(1, "`shout` is not defined", &["chain", "delete", "shout"]).await;
    setup.bad(1, "`shout` is not defined", &["run", "shout", "x"]).await;
    setup.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_chains_are_refused_with_the_reason() {
    let setup = Setup::start().await;
    setup.good(&["chain", "set", "shout", "uppercase"]).await;
    setup.bad(1, "did you mean `uppercase`", &["chain", "set", "shout", "upercase"]).await;
    let settings = r#"[{"operator": "jq", "settings": {"filter": ".["}}]"#;
    setup.bad(1, "nothing was changed", &["chain", "set", "shout", settings]).await;
    setup.bad(2, "not valid", &["chain", "set", "shout", "{"]).await;
    setup.bad(2, "is not a name", &["chain", "set", "a.b", "echo"]).await;
    setup.bad(2, "cannot read", &["chain", "set", "shout", "@/no/such/file"]).await;
    assert_eq!(setup.good(&["run", "shout", "still"]).await, "STILL");
    setup.stop().await;
}
