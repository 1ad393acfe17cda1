//! Durable jobs: `cargo run -p catena-client --example submit` beside a cluster (`catena dev`).
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use catena_client::{Client, Error, Options};
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::connect(Options::from_env()).await?;
    client.chains().set("shout", "trim,uppercase").await?;

    // Safe on the queue when this returns, whatever happens to this process.
    let mut jobs = Vec::new();
    for line in ["one", "two", "three"] {
        jobs.push(client.submit("shout", line).idempotency_key(format!("example-{line}")).await?);
    }
    for job in jobs {
        let result = client.wait_for(job, Duration::from_secs(10)).await?;
        println!("{job}: {} ({:?})", result.text()?, client.status(job).await?.state);
    }
    client.close().await;
    Ok(())
}
