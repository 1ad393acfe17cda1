//! Runs chains: `cargo run -p catena-client --example run` beside a cluster (`catena dev`).
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use catena_client::{Client, Error, ErrorKind, Options};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::connect(Options::from_env()).await?;

    // Operators named on the spot; text in, text out.
    let shouted = client.run_inline("trim,uppercase", "  hello ").await?;
    println!("{} (job {})", shouted.text()?, shouted.job);

    // A chain with a name; JSON in, JSON out.
    client.chains().set("count-words", "lowercase,word-count").await?;
    let text = "To be, or not to be";
    let counts: BTreeMap<String, u64> = client.run("count-words", text).await?.json()?;
    println!("{counts:?}");

    // Run twice, it has its effects once: both calls get the same result.
    let order = || client.run("count-words", text).idempotency_key("order-4711");
    let (first, second) = (order().await?, order().await?);
    println!("the same job: {}", first.job == second.job);

    // Errors have a kind to match on, and say what to do.
    let late = client.run_inline(r#"[{"operator":"sleep","settings":{"for":"5s"}}]"#, "");
    match late.timeout(Duration::from_millis(300)).await {
        Err(error) if error.kind() == ErrorKind::Deadline => println!("too late: {error}"),
        other => println!("unexpected: {other:?}"),
    }
    client.close().await;
    Ok(())
}
