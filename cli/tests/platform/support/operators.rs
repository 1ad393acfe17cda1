//! Operators that behave badly, and some that touch the store in ways the built-in ones do not.

use bytes::Bytes;
use catena_protocol::chain::Effect;
use catena_protocol::{Code, Fault};
use catena_worker::operator::{Context, Output, Registry};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Ends the wait of every `block` in this process, so that the test itself can end.
static LET_GO: AtomicBool = AtomicBool::new(false);

/// Lets go every step that blocks its thread.
pub(crate) fn let_go() {
    LET_GO.store(true, Ordering::Relaxed);
}

/// The built-in operators and those of these tests.
pub(crate) fn registry() -> Registry {
    build().unwrap()
}

fn build() -> Result<Registry, Fault> {
    let writing = Effect::Writing;
    Registry::built_in()
        .native("add-one", writing, "reads, adds one, writes", add_one)?
        .native("write-pair", writing, "writes its input to two keys", write_pair)?
        .native("read-pair", Effect::ReadOnly, "reads two keys", read_pair)?
        .native("leave", writing, "leaves its post unless nobody would stay", leave)?
        .native("write-then-read", writing, "sees its own writes", write_then_read)?
        .native("write-then-panic", writing, "panics behind a write", write_then_panic)?
        .native("write-then-hang", writing, "never ends, behind a write", write_then_hang)?
        .native("write-in-secret", Effect::Pure, "is not allowed to write", write_in_secret)?
        .native("block", Effect::Pure, "blocks its thread", block)?
        .native("too-long", Effect::Pure, "gives more than allowed", too_long)?
        .native("write-bytes", writing, "writes as many bytes as asked", write_bytes)?
        .native("write-keys", writing, "writes as many keys as asked", write_keys)?
        .native("read-keys", writing, "reads as many keys as asked, writes one", read_keys)?
        .native("scan-tags", writing, "scans as many tags as asked", scan_tags)?
        .native("trace", Effect::Pure, "gives its trace context", trace)
}

fn key(context: &Context) -> String {
    context.settings()["key"].as_str().unwrap_or("key").to_owned()
}

fn integer(input: &[u8]) -> Result<usize, Fault> {
    let text = std::str::from_utf8(input).unwrap_or_default();
    text.trim().parse().map_err(|_| Fault::new(Code::OperatorFailed, "not a number"))
}

async fn add_one(context: Context, _: Bytes) -> Output {
    let key = key(&context);
    let found = context.read(&key).await?;
    let found = found.map_or(Ok(0), |value| integer(&value))?;
    // Others get their turn between read and write.
    tokio::task::yield_now().await;
    context.write(&key, (found + 1).to_string()).await?;
    Ok((found + 1).to_string().into())
}

async fn write_pair(context: Context, input: Bytes) -> Output {
    context.write("pair:left", input.clone()).await?;
    context.write("pair:right", input.clone()).await?;
    Ok(input)
}

async fn read_pair(context: Context, _: Bytes) -> Output {
    let left = context.read("pair:left").await?.unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(3)).await;
    let right = context.read("pair:right").await?.unwrap_or_default();
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    Ok(json!({ "left": text(&left), "right": text(&right) }).to_string().into())
}

async fn leave(context: Context, post: Bytes) -> Output {
    let post = String::from_utf8_lossy(&post).into_owned();
    let mut staffed = 0;
    for other in ["post:left", "post:right"] {
        staffed += usize::from(context.read(other).await?.as_deref() == Some(b"staffed"));
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
    if staffed == 2 {
        context.write(format!("post:{post}"), "left").await?;
    }
    Ok(staffed.to_string().into())
}

async fn write_then_read(context: Context, input: Bytes) -> Output {
    let before = context.read("own").await?;
    context.write("own", input).await?;
    let after = context.read("own").await?.unwrap_or_default();
    let text = |value: Bytes| String::from_utf8_lossy(&value).into_owned();
    Ok(json!({ "before": before.map(text), "after": text(after) }).to_string().into())
}

async fn write_then_panic(context: Context, _: Bytes) -> Output {
    context.write(key(&context), "written by a step that panicked").await?;
    panic!("on purpose");
}

async fn write_then_hang(context: Context, _: Bytes) -> Output {
    context.write(key(&context), "written by a step that never ended").await?;
    std::future::pending().await
}

async fn write_in_secret(context: Context, input: Bytes) -> Output {
    context.write(key(&context), "written by a pure operator").await?;
    Ok(input)
}

async fn block(_: Context, input: Bytes) -> Output {
    while !LET_GO.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(input)
}

async fn too_long(_: Context, input: Bytes) -> Output {
    Ok(vec![b'x'; integer(&input)?].into())
}

async fn write_bytes(context: Context, input: Bytes) -> Output {
    let mut left = integer(&input)?;
    let mut number = 0;
    while left > 0 {
        let bytes = left.min(200 * 1024);
        context.write(format!("bytes:{number:04}"), vec![b'x'; bytes]).await?;
        (left, number) = (left - bytes, number + 1);
    }
    Ok(input)
}

async fn write_keys(context: Context, input: Bytes) -> Output {
    for number in 0..integer(&input)? {
        context.write(format!("keys:{number:06}"), "x").await?;
    }
    Ok(Bytes::new())
}

async fn read_keys(context: Context, input: Bytes) -> Output {
    let reads = (0..integer(&input)?).map(|number| context.read(format!("keys:{number:06}")));
    for read in futures_util::future::join_all(reads).await {
        read?;
    }
    context.write("read-keys", input).await?;
    Ok(Bytes::new())
}

async fn scan_tags(context: Context, input: Bytes) -> Output {
    let scans = (0..integer(&input)?).map(async |n| context.scan(format!("{{t{n}}}"), 1).await);
    for scan in futures_util::future::join_all(scans).await {
        scan?;
    }
    context.write("scan-tags", input).await?;
    Ok(Bytes::new())
}

async fn trace(context: Context, _: Bytes) -> Output {
    Ok(context.traceparent().unwrap_or("none").to_owned().into())
}
