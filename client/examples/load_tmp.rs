use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[tokio::main]
async fn main() {
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let secs: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let op = std::env::args().nth(3).unwrap_or("write".into());
    let client = catena_client::Client::connect("nats://127.0.0.1:4333").await.unwrap();
    let store = client.store().clone();
    let done = Arc::new(AtomicU64::new(0));
    let end = std::time::Instant::now() + std::time::Duration::from_secs(secs);
    let mut tasks = Vec::new();
    for t in 0..n {
        let store = store.clone();
        let done = done.clone();
        let op = op.clone();
        tasks.push(tokio::spawn(async move {
            let value = vec![b'x'; 128];
            let mut i = 0u64;
            while std::time::Instant::now() < end {
                let key = format!("key-{}", (t as u64 * 7919 + i * 31) % 1000);
                i += 1;
                if op == "read" {
                    store.read(&key).await.unwrap();
                } else {
                    store.write(&key, value.clone()).await.unwrap();
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for t in tasks {
        t.await.unwrap();
    }
    println!("{op} {n} in flight: {}/s", done.load(Ordering::Relaxed) / secs);
}
