//! The operators of the jobs, as the author of a worker writes them.
//!
//! They trust the platform: what they read is written back changed, without a look whether it
//! still holds.

use super::aim::{self, ACCOUNTS, Aim, Job, STOCK, price};
use catena_protocol::chain::Effect;
use catena_protocol::{Code, Fault};
use catena_worker::operator::{Context, Registry};

/// The chains of all jobs, by name.
pub(crate) const CHAINS: [(&str, &str); 5] = [
    ("chaos-transfer", "withdraw,deposit,note"),
    ("chaos-give", "give,note"),
    ("chaos-audit", "audit"),
    ("chaos-order", "reserve,charge,note"),
    ("chaos-append", "look,extend,note"),
];

/// What a worker can run.
///
/// # Errors
/// None, as the names are free.
pub(super) fn operators() -> Result<Registry, Fault> {
    Registry::empty()
        .typed("withdraw", Effect::Writing, "takes money from an account", withdraw)?
        .typed("deposit", Effect::Writing, "puts money on an account", deposit)?
        .typed("give", Effect::Writing, "moves money without a look", give)?
        .typed("audit", Effect::ReadOnly, "reads all accounts", audit)?
        .typed("reserve", Effect::Writing, "takes goods from the shelf", reserve)?
        .typed("charge", Effect::Writing, "adds the price to the revenue", charge)?
        .typed("look", Effect::ReadOnly, "reads lists", look)?
        .typed("extend", Effect::Writing, "appends to lists", extend)?
        .typed("note", Effect::Writing, "writes the job down", note)
}

async fn withdraw(context: Context, job: Job) -> Result<Job, Fault> {
    let Aim::Transfer { from, amount, .. } = job.aim else { return Err(not_for(&job)) };
    let key = aim::account(from);
    let balance = integer(&context, &key).await?;
    if balance < amount {
        return Err(refused(format!("too little: {balance} left")));
    }
    context.write(key, (balance - amount).to_string()).await?;
    Ok(job)
}

async fn deposit(context: Context, job: Job) -> Result<Job, Fault> {
    let Aim::Transfer { to, amount, .. } = job.aim else { return Err(not_for(&job)) };
    let key = aim::account(to);
    let balance = integer(&context, &key).await?;
    context.write(key, (balance + amount).to_string()).await?;
    Ok(job)
}

async fn give(context: Context, job: Job) -> Result<Job, Fault> {
    for (account, delta) in job.aim.moves().ok_or_else(|| not_for(&job))? {
        context.add(aim::account(account), delta).await?;
    }
    Ok(job)
}

async fn audit(context: Context, mut job: Job) -> Result<Job, Fault> {
    for number in 0..ACCOUNTS {
        find(&context, &mut job, aim::account(number)).await?;
    }
    Ok(job)
}

async fn reserve(context: Context, job: Job) -> Result<Job, Fault> {
    let Aim::Order { shop, item, quantity } = job.aim else { return Err(not_for(&job)) };
    let key = aim::stock(shop, item);
    let left = match text(&context, &key).await? {
        None => STOCK,
        Some(text) => number(&key, &text)?,
    };
    if left < quantity {
        return Err(refused(format!("sold out: {left} left")));
    }
    context.write(key, (left - quantity).to_string()).await?;
    Ok(job)
}

async fn charge(context: Context, job: Job) -> Result<Job, Fault> {
    let Aim::Order { shop, item, quantity } = job.aim else { return Err(not_for(&job)) };
    context.add(aim::revenue(shop), price(item) * quantity).await?;
    Ok(job)
}

async fn look(context: Context, mut job: Job) -> Result<Job, Fault> {
    let Aim::Append { round, reads, .. } = job.aim.clone() else { return Err(not_for(&job)) };
    for list in reads {
        find(&context, &mut job, aim::list(round, list)).await?;
    }
    Ok(job)
}

async fn extend(context: Context, job: Job) -> Result<Job, Fault> {
    let Aim::Append { round, appends, .. } = &job.aim else { return Err(not_for(&job)) };
    for (place, list) in appends.iter().enumerate() {
        let (key, element) = (aim::list(*round, *list), job.element(place));
        let longer = match text(&context, &key).await? {
            None => element.to_string(),
            Some(before) => format!("{before},{element}"),
        };
        context.write(key, longer).await?;
    }
    Ok(job)
}

async fn note(context: Context, job: Job) -> Result<Job, Fault> {
    let record = serde_json::to_vec(&job).map_err(|error| refused(error.to_string()))?;
    context.write(job.record(), record).await?;
    Ok(job)
}

async fn find(context: &Context, job: &mut Job, key: String) -> Result<(), Fault> {
    let value = text(context, &key).await?;
    job.found.push((key, value));
    Ok(())
}

async fn integer(context: &Context, key: &str) -> Result<i64, Fault> {
    let text = text(context, key).await?.ok_or_else(|| refused(format!("no `{key}`")))?;
    number(key, &text)
}

fn number(key: &str, text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| refused(format!("`{key}` is `{text}`")))
}

async fn text(context: &Context, key: &str) -> Result<Option<String>, Fault> {
    let value = context.read(key).await?;
    Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
}

fn refused(why: String) -> Fault {
    Fault::new(Code::OperatorFailed, why)
}

fn not_for(job: &Job) -> Fault {
    Fault::bad_request(format!("this step is not for {job:?}"))
}
