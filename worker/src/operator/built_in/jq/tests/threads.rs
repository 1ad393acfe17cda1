//! Threads that are kept, cancelled, panicking and worn.

use super::jq;
use crate::operator::Output;
use crate::operator::built_in::jq::budget::Limits;
use crate::operator::built_in::jq::program::{Form, Program};
use crate::operator::built_in::jq::threads::{Threads, Ticket, with_large_stack};
use bytes::Bytes;
use catena_protocol::Code;
use catena_testing::within;
use std::sync::mpsc;
use std::time::Duration;

/// Runs on `threads` until `until` is told, whether cancelled or not.
async fn stubborn(
    threads: &Threads,
    started: mpsc::Sender<()>,
    until: mpsc::Receiver<()>,
) -> Output {
    threads
        .run(move |_| {
            started.send(()).unwrap();
            until.recv().ok();
            Ok(Bytes::new())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_threads_are_kept_work_is_refused_at_once_and_later_goes_on() {
    let threads = Threads::new(2);
    let mut ends = Vec::new();
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let (started, has_started) = mpsc::channel();
        let (end, until) = mpsc::channel();
        let threads = threads.clone();
        stuck.push(tokio::spawn(async move { stubborn(&threads, started, until).await }));
        tokio::task::spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
        ends.push(end);
    }
    // Both threads are at work: this one waits.
    let waits = {
        let threads = threads.clone();
        tokio::spawn(async move { threads.run(|_| Ok(Bytes::new())).await })
    };
    let gives_up =
        tokio::time::timeout(Duration::from_millis(20), threads.run(|_| panic!("never")));
    assert!(gives_up.await.is_err());
    for step in stuck {
        step.abort();
        assert!(step.await.unwrap_err().is_cancelled());
    }
    let refused = within(10, "the refusal", waits).await.unwrap().unwrap_err();
    assert_eq!(refused.code, Code::TooBusy);
    let refused = within(10, "the refusal", threads.run(|_| Ok(Bytes::new()))).await.unwrap_err();
    assert!(refused.message.contains("do not stop"), "{refused}");

    drop(ends);
    within(10, "threads that work again", async {
        while threads.run(|_| Ok(Bytes::new())).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_whose_step_is_over_stops() {
    let threads = Threads::new(1);
    let program = with_large_stack(|| Program::compile("def f: f; f")).unwrap().unwrap();
    let (started, has_started) = mpsc::channel();
    let (stopped, has_stopped) = mpsc::channel();
    let step = {
        let threads = threads.clone();
        tokio::spawn(async move {
            let work = move |ticket: &Ticket| {
                started.send(()).unwrap();
                let output = loop {
                    // Again and again, as if there were no limit of steps.
                    let output = program.run(
                        &Bytes::from_static(b"1"),
                        Form::default(),
                        Limits::default(),
                        ticket,
                    );
                    if ticket.is_cancelled() {
                        break output;
                    }
                };
                stopped.send(output.clone()).unwrap();
                output
            };
            threads.run(work).await
        })
    };
    tokio::task::spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
    step.abort();
    let output = tokio::task::spawn_blocking(move || {
        has_stopped.recv_timeout(Duration::from_secs(10)).unwrap()
    });
    assert!(output.await.unwrap().unwrap_err().message.contains("the step has ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_only_its_own_work() {
    let threads = Threads::new(1);
    let fault = threads.run(|_| panic!("a bug")).await.unwrap_err();
    assert!(fault.message.contains("a bug"), "{fault}");
    assert!(threads.run(|_| Ok(Bytes::new())).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_filters_at_once_all_end() {
    let all = (0..200).map(|n| async move { jq(". + 1", &n.to_string()).await.unwrap() });
    let results = futures_util::future::join_all(all).await;
    assert!(results.iter().enumerate().all(|(n, result)| *result == (n + 1).to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn worn_threads_are_replaced() {
    let threads = Threads::new(2);
    let all = (0..50).map(|_| {
        threads.run(|ticket: &Ticket| {
            ticket.wear();
            Ok(Bytes::from(format!("{:?}", std::thread::current().id())))
        })
    });
    let all = within(10, "the end of all", futures_util::future::join_all(all)).await;
    let on: std::collections::BTreeSet<_> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(on.len(), 50, "each on a thread of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_end_holds_up_nobody_while_there_are_threads() {
    let threads = Threads::new(2);
    threads.run(|_| Ok(Bytes::new())).await.unwrap();
    let (started, _has_started) = mpsc::channel();
    let (end, until) = mpsc::channel();
    // Both are there before the idle thread wakes up.
    let (stuck, other) = (stubborn(&threads, started, until), threads.run(|_| Ok(Bytes::new())));
    tokio::pin!(stuck, other);
    let first = within(10, "the other", futures_util::future::select(stuck, other)).await;
    assert!(matches!(first, futures_util::future::Either::Right(_)));
    drop(end);
}
