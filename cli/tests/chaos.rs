//! A minute of everything that can go wrong, under load: what clients saw can be, and nothing that
//! was acknowledged is missing.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_chaos::{Plan, run};
use catena_testing::within;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_saw_of_a_broken_cluster_can_be() {
    let plan = Plan { seed: 1, ..Plan::new(env!("CARGO_BIN_EXE_catena")) };
    let (_stop, stopped) = watch::channel(false);
    let run = Box::pin(run(&plan, stopped, |line| println!("{line}")));
    let report = within(300, "the end of the run", run).await.unwrap();
    println!("{report}");
    assert!(report.is_good(), "{:?}, see {:?}", report.wrong(), report.folder());
    assert!(report.answered() >= 500, "only {} answers", report.answered());
    assert!(report.kinds() >= 5, "only {} kinds of faults", report.kinds());
}
