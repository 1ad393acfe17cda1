//! The NATS server goes away and comes back.

use super::load::Load;
use crate::support::Platform;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_when_the_nats_server_is_restarted_under_load() {
    let mut platform = Platform::of(2, 3).await;
    let load = Load::start(&platform).await;
    load.goes_on(100).await;
    for _ in 0..3 {
        platform.nats.kill().await;
        platform.nats.start_again().await;
        load.goes_on(100).await;
        platform.alive();
    }
    platform.recovers().await;
    load.check(&platform).await;
    platform.stop().await;
}
