//! The operators of the shop, as the author of a worker writes them.

use super::orders::{MOST, Order};
use catena_protocol::chain::Effect;
use catena_protocol::{Code, Fault};
use catena_worker::operator::{Context, Registry};
use serde::{Deserialize, Serialize};

/// An order on its way; at its end the record that is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sale {
    pub(super) order: Order,
    /// What it costs, in cents.
    pub(super) total: i64,
}

/// Which shop, so that one cluster can have several.
#[derive(Deserialize)]
struct Settings {
    shop: String,
}

/// Where the stock of an item is kept. Orders of this item have their home there.
pub(super) fn stock(shop: &str, item: usize) -> String {
    format!("demo-{shop}:stock:{item:02}")
}

/// Where the revenue is kept.
pub(super) fn revenue(shop: &str) -> String {
    format!("demo-{shop}:revenue")
}

/// What the keys of confirmed orders begin with.
pub(super) fn confirmed(shop: &str) -> String {
    format!("demo-{shop}:order:")
}

/// Adds them to what workers can run.
///
/// # Errors
/// None, as the names are free.
pub(in super::super) fn operators(registry: Registry) -> Result<Registry, Fault> {
    registry
        .typed("validate", Effect::Pure, "refuses orders that make no sense", validate)?
        .typed("reserve", Effect::Writing, "takes the goods from the shelf", reserve)?
        .typed("charge", Effect::Writing, "adds the price to the revenue", charge)?
        .typed("confirm", Effect::Writing, "writes the order down", confirm)
}

async fn validate(_context: Context, order: Order) -> Result<Sale, Fault> {
    if !order.is_sensible() {
        return Err(refused(format!("an order is for 1 to {MOST} of goods that there are")));
    }
    Ok(Sale { order, total: order.total() })
}

async fn reserve(context: Context, sale: Sale) -> Result<Sale, Fault> {
    let Settings { shop } = context.settings_as()?;
    let key = stock(&shop, sale.order.item);
    let shelf = context.read(&key).await?;
    let left = shelf.as_deref().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let left: i64 = left.ok_or_else(|| refused(format!("there is no stock in `{key}`")))?;
    if left < sale.order.quantity {
        return Err(refused(format!("sold out: {left} left")));
    }
    let fewer = (left - sale.order.quantity).to_string();
    // All reads are at one snapshot, so this holds here; whether it still holds when the order
    // is committed is for the store to find out.
    if context.update_if_value_is(&key, shelf.as_deref(), Some(fewer.as_bytes())).await? {
        Ok(sale)
    } else {
        Err(Fault::new(Code::Conflict, "somebody else was faster; nothing was changed"))
    }
}

async fn charge(context: Context, sale: Sale) -> Result<Sale, Fault> {
    let Settings { shop } = context.settings_as()?;
    context.add(revenue(&shop), sale.total).await?;
    Ok(sale)
}

async fn confirm(context: Context, sale: Sale) -> Result<Sale, Fault> {
    let Settings { shop } = context.settings_as()?;
    let record = serde_json::to_vec(&sale).map_err(|error| refused(error.to_string()))?;
    context.write(format!("{}{}", confirmed(&shop), sale.order.number), record).await?;
    Ok(sale)
}

fn refused(why: impl Into<String>) -> Fault {
    Fault::new(Code::OperatorFailed, why)
}
