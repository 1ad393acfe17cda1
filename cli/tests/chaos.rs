//! A minute of everything that can go wrong, under load: what clients saw can be, nothing that was
//! acknowledged is missing, and every job took effect once or never.
#![allow(clippy::unwrap_used, reason = "a test")]

use catena_chaos::{Fault, Plan, Report, run, work};
use catena_testing::within;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_saw_of_a_broken_cluster_can_be() {
    let plan = Plan { seed: 1, ..Plan::new(env!("CARGO_BIN_EXE_catena"), worker()) };
    let (_stop, stopped) = watch::channel(false);
    let run = Box::pin(run(&plan, stopped, |line| println!("{line}")));
    let report = within(400, "the end of the run", run).await.unwrap();
    println!("{report}");
    assert!(report.is_good(), "{:?}, see {:?}", report.wrong(), report.folder());
    assert!(report.answered() >= 500, "only {} answers", report.answered());
    assert!(report.done() >= 100, "only {} jobs", report.done());
    assert!(report.kinds() >= 5, "only {} kinds of faults", report.kinds());
    it_was_broken(&report);
}

/// What a run begins with has happened, up to what this machine does not let happen; then the
/// report names the reason.
fn it_was_broken(report: &Report) {
    for fault in [Fault::Kill, Fault::Stop, Fault::NatsKill] {
        assert!(report.struck(fault) > 0, "no {fault}");
    }
    for fault in [Fault::DiskFull, Fault::SyncFails] {
        let named = report.why_skipped(fault).is_some_and(|why| report.to_string().contains(why));
        assert!(report.struck(fault) > 0 || named, "no {fault}, and no reason why");
    }
}

/// This same program as a process that is the worker below.
fn worker() -> Vec<std::ffi::OsString> {
    let this = std::env::current_exe().unwrap();
    [this.as_os_str(), "a_worker".as_ref(), "--exact".as_ref(), "--ignored".as_ref()]
        .map(Into::into)
        .into()
}

#[test]
#[ignore = "no test: a process of the test above, which has operators of its own"]
fn a_worker() {
    tokio::runtime::Runtime::new().unwrap().block_on(work()).unwrap();
}
