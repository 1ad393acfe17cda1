//! Uses the store: `cargo run -p catena-client --example store` beside a cluster (`catena dev`).
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use catena_client::{Client, Error, Options, Updated};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::connect(Options::from_env()).await?;
    let store = client.store();

    // Every write makes a version; old ones can be read for a while.
    let first = store.write("greeting", "hello").await?;
    store.write("greeting", "good evening").await?;
    let (now, then) = (store.read("greeting").await?, store.read_at("greeting", first).await?);
    println!("now `{}`, before `{}`", now.text().unwrap_or("?"), then.text().unwrap_or("?"));

    // Only one of many can take the seat.
    store.delete("{flight42}:seat:12a").await?;
    for passenger in ["ada", "bob"] {
        let seat = "{flight42}:seat:12a";
        match store.update_if_value_is(seat, None, Some(passenger.into())).await? {
            Updated::Done(version) => println!("{passenger} has it, version {version}"),
            Updated::Differs(found) => println!("{passenger}: taken by {:?}", found.text()),
        }
    }

    // Adds never conflict.
    let visits = store.add("visits", 1).await?;
    println!("visit number {visits}");

    // Keys with one tag live together, and are listed consistently.
    for (key, entry) in store.scan("{flight42}:", 100).await? {
        println!("{key} = {:?}", entry.text());
    }
    client.close().await;
    Ok(())
}
