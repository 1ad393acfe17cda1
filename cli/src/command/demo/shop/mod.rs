//! A shop: orders go through `validate -> reserve -> charge -> confirm`, each order one
//! transaction over stock, revenue and order book, which lie in three partitions. There are more
//! orders than goods, some orders are nonsense, some are sent twice, and in the middle a storage
//! node dies.

mod books;
mod operators;
mod orders;

use super::accident::{Accident, was_away};
use super::load::load;
use super::report::Phase;
use crate::failure::Failure;
use crate::progress::Progress;
use books::{Answers, Books};
use catena_client::Client;
use orders::{GOODS, Order};
use serde_json::json;
use std::time::Duration;
use tokio::sync::Notify;

pub(super) use operators::operators;

const CHAIN: &str = "demo-shop";
const AT_ONCE: usize = 32;

/// Fills the shop, sends the orders, and compares the books.
pub(super) async fn run(
    client: &Client,
    run: &str,
    seed: u64,
    accident: Option<&Accident>,
) -> Result<Phase, Failure> {
    open(client, run).await?;
    let orders = orders::generate(seed);
    let sent = orders::with_repeats(&orders);
    let total = sent.len() as u64;
    let mut progress = Progress::new("selling: orders", Some(total));
    let mut answers = Answers::default();
    let job = |order: Order| async move {
        let input = serde_json::to_vec(&order).unwrap_or_default();
        let key = format!("{run}-order-{}", order.number);
        let home = operators::stock(run, order.item);
        let job = client.run(CHAIN, input).key(home).idempotency_key(key);
        (order, job.await)
    };
    let (third, mut answered) = (Notify::new(), 0);
    let take = |(order, result)| {
        answers.take(order, result);
        answered += 1;
        if answered == total / 3 {
            third.notify_one();
        }
    };
    let selling = load(sent.into_iter(), AT_ONCE, &mut progress, job, take);
    let happens = async {
        match accident {
            Some(accident) => accident.happens(third.notified(), Duration::ZERO).await.map(Some),
            None => Ok(None),
        }
    };
    let (timings, away) = tokio::join!(selling, happens);
    let (timings, away) = (timings?, away?);
    progress.clear();
    let books = Books::read(client, run).await?;
    Ok(Phase {
        name: "shop",
        about: format!(
            "{} orders for {} kinds of goods, {} of them sent twice; each a job \
             `validate -> reserve -> charge -> confirm`",
            orders.len(),
            GOODS.len(),
            total as usize - orders.len(),
        ),
        steps: answers.steps(),
        timings,
        notes: std::iter::once(answers.summary()).chain(away.map(was_away)).collect(),
        trouble: answers.trouble(),
        checks: books.compare(&orders, &answers),
    })
}

/// Defines the chain and puts the goods on the shelves.
async fn open(client: &Client, run: &str) -> Result<(), Failure> {
    let step = |operator: &str| json!({ "operator": operator, "settings": { "shop": run } });
    let chain = json!({
        "steps": ["validate", step("reserve"), step("charge"), step("confirm")],
        "description": "an order, all of it or nothing",
    });
    client.chains().set(CHAIN, chain.to_string()).await?;
    for item in 0..GOODS.len() {
        client.store().write(operators::stock(run, item), orders::STOCK.to_string()).await?;
    }
    Ok(())
}
