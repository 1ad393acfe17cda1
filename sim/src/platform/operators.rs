//! What the steps of simulated chains do. Each takes care of its part of the keys, and looks first
//! whether it sees what the steps before it wrote.

use super::desk::{Desk, Fact};
use super::task::{Failing, Task};
use crate::job::{Aim, Rows, Write, place};
use bytes::Bytes;
use catena_protocol::{Code, Fault};
use catena_worker::operator::{Context, Output};

/// Most records that one look at a shelf shows: there are never so many.
const ROWS: u32 = 100;

/// Runs one step of attempt `number`.
pub(crate) async fn run(context: Context, desk: Desk, input: Bytes, number: usize) -> Output {
    let mut task = Task::from_bytes(&input)?;
    if task.takes_us > 0 {
        desk.sleep(task.takes_us).await;
    }
    look_back(&context, &desk, &task).await?;
    let part = task.part(context.step());
    // Another attempt may begin elsewhere.
    let first = number % task.keys.len().max(1);
    for at in part {
        let key = task.keys[(first + at) % task.keys.len()].clone();
        do_one(&context, &desk, &mut task, (at, &key), number).await?;
    }
    fail(&task, &context, number)?;
    let is_last = context.step() + 1 >= task.steps;
    Ok(if is_last { number.to_string().into() } else { task.to_bytes() })
}

fn fail(task: &Task, context: &Context, number: usize) -> Result<(), Fault> {
    let here = context.step() + 1 == task.steps;
    let fails = match task.failing {
        Failing::Never => false,
        Failing::Sometimes => number.is_multiple_of(2),
        Failing::Always => true,
    };
    if fails && here {
        return Err(Fault::new(Code::OperatorFailed, "the operator fails by itself"));
    }
    Ok(())
}

async fn do_one(
    context: &Context,
    desk: &Desk,
    task: &mut Task,
    (at, key): (usize, &str),
    number: usize,
) -> Result<(), Fault> {
    let moved = number as i64 % 7 + 1;
    let others = task.keys.len() as i64 - 1;
    let change = if at == 0 { -moved * others } else { moved };
    match task.aim {
        Aim::Audit => drop(read(context, desk, key).await?),
        Aim::Deposit => {
            context.add(key, change).await?;
            desk.note(Fact::Wrote(key.to_owned(), Write::Add(change)));
            task.added.insert(key.to_owned(), change);
        }
        Aim::Transfer => {
            let before = read(context, desk, key).await?;
            let before = before.map_or(0, |text| text.parse().unwrap_or(0_i64));
            put(context, desk, task, key, (before + change).to_string()).await?;
        }
        Aim::Append(count) => {
            let before = read(context, desk, key).await?.unwrap_or_default();
            if at < count {
                put(context, desk, task, key, format!("{before}{number},")).await?;
            }
        }
        Aim::Shelve => {
            let mut rows = scan(context, key).await?;
            desk.note(Fact::Found(key.to_owned(), rows.clone()));
            if at == 0 {
                shelve(context, desk, key, &mut rows, number).await?;
            }
            task.shelves.insert(key.to_owned(), rows);
        }
    }
    Ok(())
}

async fn read(context: &Context, desk: &Desk, key: &str) -> Result<Option<String>, Fault> {
    let value = context.read(key).await?.map(|bytes| text(&bytes));
    desk.note(Fact::Read(key.to_owned(), value.clone()));
    Ok(value)
}

async fn put(
    context: &Context,
    desk: &Desk,
    task: &mut Task,
    key: &str,
    value: String,
) -> Result<(), Fault> {
    context.write(key, value.clone()).await?;
    desk.note(Fact::Wrote(key.to_owned(), Write::Put(value.clone())));
    task.wrote.insert(key.to_owned(), value);
    Ok(())
}

async fn scan(context: &Context, shelf: &str) -> Result<Rows, Fault> {
    let rows = context.scan(shelf, ROWS).await?;
    Ok(rows.into_iter().map(|(key, value)| (key.as_str().to_owned(), text(&value))).collect())
}

/// Takes away what is there, or puts something there, in some place.
async fn shelve(
    context: &Context,
    desk: &Desk,
    shelf: &str,
    rows: &mut Rows,
    number: usize,
) -> Result<(), Fault> {
    let key = place(shelf, number / 3);
    let write = match rows.remove(&key) {
        Some(_) => {
            context.delete(&key).await?;
            Write::Delete
        }
        None => {
            let value = format!("a{number}");
            context.write(&key, value.clone()).await?;
            rows.insert(key.clone(), value.clone());
            Write::Put(value)
        }
    };
    desk.note(Fact::Wrote(key, write));
    Ok(())
}

/// A step sees what the steps before it wrote, and the rest at the same snapshot as they.
async fn look_back(context: &Context, desk: &Desk, task: &Task) -> Result<(), Fault> {
    for (key, wrote) in &task.wrote {
        let found = context.read(key).await?.map(|bytes| text(&bytes));
        if found.as_ref() != Some(wrote) {
            desk.note(Fact::Blind(format!("`{key}` is {found:?}, {wrote:?} was written")));
        }
    }
    for (key, added) in task.added.iter().filter(|_| task.peeks) {
        let found = context.read(key).await?.and_then(|bytes| text(&bytes).parse::<i64>().ok());
        // What the store itself has is judged with all other reads. Of nothing it cannot be told
        // whether there is no record.
        if let Some(stored) = found.map(|sum| sum - added).filter(|stored| *stored != 0) {
            desk.note(Fact::Read(key.clone(), Some(stored.to_string())));
        }
    }
    for (shelf, rows) in &task.shelves {
        let found = scan(context, shelf).await?;
        if found != *rows {
            desk.note(Fact::Blind(format!("`{shelf}` has {found:?}, {rows:?} was left there")));
        }
    }
    Ok(())
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
