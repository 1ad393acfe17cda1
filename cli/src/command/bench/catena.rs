//! Catena under measurement, through its client library as any user has it.

use super::case::{Case, Kind};
use super::drive::{Measured, drive};
use super::touch;
use crate::failure::Failure;
use catena_client::Client;
use catena_link::{Settings, connect};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn measure(
    settings: &Settings,
    case: &Case,
    time: Duration,
) -> Result<Measured, Failure> {
    let client = Client::over(connect(settings.clone(), "catena-bench", false).await?).await?;
    match case.kind {
        Kind::Chain | Kind::ChainCommit => chain(&client, case, time).await,
        Kind::StoreRead => read(&client, case, time).await,
        Kind::StoreWrite => write(&client, case, time).await,
        Kind::StoreCas => cas(&client, case, time).await,
    }
}

/// Steps that do nothing; with a commit the last one reads and writes a record.
fn definition(case: &Case) -> String {
    let mut steps = vec!["echo"; case.steps];
    if case.kind == Kind::ChainCommit {
        steps[case.steps - 1] = touch::NAME;
    }
    steps.join(",")
}

async fn chain(client: &Client, case: &Case, time: Duration) -> Result<Measured, Failure> {
    let name = format!("bench-{}-{}", case.kind.name(), case.steps);
    client.chains().set(&name, definition(case)).await?;
    let inputs: Arc<Vec<bytes::Bytes>> =
        Arc::new((0..case.in_flight).map(|lane| input(case, lane)).collect());
    let client = client.clone();
    drive(case.in_flight, time, move |lane, _| {
        let (client, name, input) = (client.clone(), name.clone(), inputs[lane].clone());
        async move {
            client.run(&name, input).await?;
            Ok(())
        }
    })
    .await
}

/// Begins with a key of the lane's own, so that jobs do not wait for each other.
fn input(case: &Case, lane: usize) -> bytes::Bytes {
    let width = touch::KEY_BYTES - 1;
    let mut input = format!("k{lane:0width$}").into_bytes();
    input.resize(case.payload, b'x');
    input.into()
}

async fn read(client: &Client, case: &Case, time: Duration) -> Result<Measured, Failure> {
    let store = client.store().clone();
    for lane in 0..case.in_flight {
        store.write(format!("bench:{lane}"), case.bytes()).await?;
    }
    drive(case.in_flight, time, move |lane, _| {
        let store = store.clone();
        async move {
            store.read(format!("bench:{lane}")).await?;
            Ok(())
        }
    })
    .await
}

async fn write(client: &Client, case: &Case, time: Duration) -> Result<Measured, Failure> {
    let (store, value) = (client.store().clone(), case.bytes());
    drive(case.in_flight, time, move |lane, _| {
        let (store, value) = (store.clone(), value.clone());
        async move {
            store.write(format!("bench:{lane}"), value).await?;
            Ok(())
        }
    })
    .await
}

async fn cas(client: &Client, case: &Case, time: Duration) -> Result<Measured, Failure> {
    let store = client.store().clone();
    let value = move |payload: usize, turn: u64| format!("{turn:0payload$}").into_bytes();
    let payload = case.payload;
    for lane in 0..case.in_flight {
        store.write(format!("bench:{lane}"), value(payload, 0)).await?;
    }
    drive(case.in_flight, time, move |lane, turn| {
        let store = store.clone();
        async move {
            let (old, new) = (value(payload, turn), value(payload, turn + 1));
            let updated = store
                .update_if_value_is(format!("bench:{lane}"), Some(old.into()), Some(new.into()))
                .await?;
            if matches!(updated, catena_client::Updated::Differs(_)) {
                return Err(Failure::new("a value was changed that nobody else writes"));
            }
            Ok(())
        }
    })
    .await
}
