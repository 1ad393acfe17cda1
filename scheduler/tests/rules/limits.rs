use crate::rig::{Rig, WALL_US, job, node, run};
use bytes::Bytes;
use catena_protocol::chain::Service;
use catena_protocol::clock::Now;
use catena_protocol::message::assign::Reply;
use catena_protocol::message::commit::End;
use catena_protocol::message::finish::Answer;
use catena_protocol::message::store::{Ask, Tell};
use catena_protocol::{Code, JobId, Name, Timestamp, limit};
use catena_scheduler::machine::{
    Called, Effect, Identity, Input, Scheduler, Settings, Source, Submission,
};

#[test]
fn more_jobs_than_fit_are_refused_at_once() {
    let mut rig = Rig::with(Settings { max_jobs: 3, ..Settings::of(node("s")) });
    rig.worker("w", 100);
    for n in 0..4 {
        rig.submit(run(n, "pure"));
    }
    let steps = rig.steps();
    assert_eq!(steps.len(), 3);
    assert_eq!(rig.fault().code, Code::TooBusy);
    rig.decide(&steps[0]);
    rig.submit(run(9, "pure"));
    rig.step();
}

#[test]
fn more_bytes_than_fit_are_refused_at_once() {
    let mut rig = Rig::with(Settings { held_bytes: 12, ..Settings::of(node("s")) });
    rig.worker("w", 100);
    for n in 0..3 {
        rig.submit(run(n, "pure"));
    }
    let steps = rig.steps();
    assert_eq!(steps.len(), 2);
    assert_eq!(rig.fault().code, Code::TooBusy);
    steps.iter().for_each(|step| rig.decide(step));
    rig.assert_empty();
}

#[test]
fn workers_get_no_more_than_their_credit() {
    let mut rig = Rig::new();
    rig.worker("w0", 2);
    rig.worker("w1", 3);
    for n in 0..3 {
        rig.submit(run(n, "pure,pure"));
    }
    let steps = rig.steps();
    assert_eq!((steps.len(), rig.outstanding()), (2, 4), "a plan that does not fit takes nothing");
    let fault = rig.fault();
    assert_eq!(fault.code, Code::TooBusy);
    assert!(fault.message.contains("`pure`"), "{fault}");
    steps.iter().for_each(|step| rig.decide(step));
    rig.assert_empty();
}

#[test]
fn what_nobody_runs_is_named() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    rig.submit(run(1, "pure,nope"));
    let fault = rig.fault();
    assert_eq!(fault.code, Code::NotFound);
    assert!(fault.message.contains("`nope`"));
    rig.kill("w");
    rig.pass(3_000);
    rig.submit(run(2, "pure"));
    let fault = rig.fault();
    assert_eq!(fault.code, Code::Unavailable);
    assert!(fault.message.contains("`pure`"));
    rig.assert_empty();
}

#[test]
fn inputs_up_to_the_limit_are_taken_and_one_byte_more_is_not() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let input = |bytes| Bytes::from(vec![b'x'; bytes]);
    rig.submit(Submission { input: input(limit::PAYLOAD_BYTES), ..run(1, "pure") });
    rig.step();
    rig.submit(Submission { input: input(limit::PAYLOAD_BYTES + 1), ..run(2, "pure") });
    assert_eq!(rig.fault().code, Code::TooLarge);
    rig.submit(Submission { input: Bytes::new(), ..run(3, "pure") });
    rig.step();
}

#[test]
fn ids_and_tokens_that_cannot_be_honoured_are_refused() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let far = Timestamp(rig.now.wall_us).plus_ms(60_000);
    rig.submit(Submission { after: far, ..run(1, "pure") });
    assert_eq!(rig.fault().code, Code::BadRequest);
    let old = rig.now.wall_us - 601_000_000;
    for job in [
        catena_protocol::JobId::random(64, rig.now.wall_us, [1; 8]),
        catena_protocol::JobId::random(0, old, [1; 8]),
    ] {
        let identity = Identity::Given { job, keyed: false };
        rig.submit(Submission { identity, ..run(1, "pure") });
        assert_eq!(rig.fault().code, Code::BadRequest);
    }
    rig.assert_empty();
}

#[test]
fn the_snapshot_is_never_before_the_token() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let after = Timestamp(rig.now.wall_us + 400_000);
    rig.submit(Submission { after, ..run(1, "pure") });
    assert!(rig.step().assignment.snapshot >= after);
    rig.submit(run(2, "pure"));
    assert!(rig.step().assignment.snapshot >= after, "and the clock has learnt of it");
}

#[test]
fn what_comes_before_the_first_heartbeat_waits_for_it() {
    let now = Now { wall_us: crate::rig::WALL_US, mono_us: 0 };
    let mut scheduler = Scheduler::new(Settings::of(node("s")), [1; 32], now);
    let mut out = Vec::new();
    scheduler.handle(now, Input::Submit(run(1, "pure")), &mut out);
    assert_eq!((out.len(), scheduler.parked()), (0, 1));
    let due = scheduler.next_deadline().unwrap();
    assert_eq!(due, 1_500_000);
    let late = Now { mono_us: due, ..now };
    scheduler.handle(late, Input::Tick, &mut out);
    assert!(matches!(&out[..], [Effect::Answer { .. }]), "{out:?}");
    assert_eq!((scheduler.parked(), scheduler.held_bytes()), (0, 0));
}

#[test]
fn a_chain_that_is_not_known_is_looked_for_once() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let name = Name::new("shout").unwrap();
    let called = || Called::Named(Name::new("shout").unwrap());
    rig.submit(Submission { called: called(), ..run(1, "") });
    rig.submit(Submission { called: called(), ..run(2, "") });
    assert_eq!(rig.effects, [Effect::Look(name.clone())]);
    rig.effects.clear();
    rig.input(Input::Missing(name.clone()));
    let answers = rig.answers();
    assert_eq!(answers.len(), 2);
    rig.submit(Submission { called: called(), ..run(3, "") });
    rig.effects.clear();
    let definition = catena_protocol::chain::Definition::parse("pure").unwrap();
    rig.input(Input::Chain { name: name.clone(), revision: 1, definition: Some(Ok(definition)) });
    let step = rig.step();
    assert_eq!(step.assignment.job, job(3));
    rig.decide(&step);
    // An older revision that comes late changes nothing, a newer one does.
    rig.input(Input::Chain { name: name.clone(), revision: 1, definition: None });
    rig.submit(Submission { called: called(), ..run(4, "") });
    let step = rig.step();
    rig.decide(&step);
    rig.input(Input::Chain { name, revision: 2, definition: None });
    rig.submit(Submission { called: called(), ..run(5, "") });
    rig.pass(1_100);
    assert_eq!(rig.fault().code, Code::NotFound);
}

#[test]
fn a_service_is_run_by_every_worker() {
    let mut rig = Rig::new();
    rig.worker("w0", 100);
    rig.worker("w1", 100);
    let service = Service::parse("my.enrich").unwrap();
    rig.input(Input::Service { name: Name::new("enrich").unwrap(), service: Some(service) });
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..2 {
        rig.submit(run(n, "enrich"));
        let step = rig.step();
        let bytes = rig.scheduler.chain_bytes(&step.assignment.chain).unwrap();
        let chain: catena_protocol::chain::Chain = catena_protocol::codec::decode(&bytes).unwrap();
        assert_eq!(chain.steps[0].service.as_ref().unwrap().subject, "my.enrich");
        seen.insert(step.assignment.plan[0].clone());
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_proposed_home_gives_way_to_the_one_that_the_chain_finds() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let chain = r#"{"steps":["pure"],"key":"/customer"}"#;
    let home = catena_protocol::partition("ada", 64);
    let mut submit = |identity, input| {
        let input = Bytes::from_static(input);
        rig.submit(Submission { identity, input, ..run(1, chain) });
        let homes: Vec<u16> = rig.steps().iter().map(|s| s.assignment.job.home()).collect();
        let results = rig.answers().into_iter().map(|(_, finished)| finished.result);
        (homes, results.collect::<Vec<_>>())
    };
    let id = |home: u16, n: u8| JobId::random(home, WALL_US, [n; 8]);
    let other = (home + 1) % 64;
    let ada = br#"{"customer":"ada"}"#;
    let elsewhere = Answer::Elsewhere { pointer: "/customer".into() };
    let sent_on = (Vec::new(), vec![elsewhere]);
    assert_eq!(submit(Identity::Proposed { job: id(other, 1) }, ada), sent_on);
    let started = |home| (vec![home], Vec::new());
    assert_eq!(submit(Identity::Proposed { job: id(home, 2) }, ada), started(home));
    // Nothing says that it has a better one.
    assert_eq!(submit(Identity::Proposed { job: id(other, 3) }, b"{}"), started(other));
    // It may have been started under this id.
    let given = Identity::Given { job: id(other, 4), keyed: false };
    assert_eq!(submit(given, ada), started(other));
}

#[test]
fn keys_choose_the_home_and_the_same_key_is_the_same_job() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let definition = r#"{"steps":["pure"],"key":"/customer"}"#;
    let definition = catena_protocol::chain::Definition::parse(definition).unwrap();
    let name = Name::new("shop").unwrap();
    rig.input(Input::Chain { name: name.clone(), revision: 1, definition: Some(Ok(definition)) });
    let by_pointer = Submission {
        called: Called::Named(name),
        identity: Identity::Random { routing: None },
        input: Bytes::from_static(br#"{"customer":"ada"}"#),
        ..run(1, "")
    };
    rig.submit(by_pointer.clone());
    let home = catena_protocol::partition("ada", 64);
    assert_eq!(rig.step().assignment.job.home(), home);
    let routing = Some("ada".to_owned());
    let keyed = Identity::Key { idempotency: "order-1".into(), routing };
    rig.submit(Submission { identity: keyed.clone(), ..by_pointer.clone() });
    let step = rig.step();
    assert_eq!(step.assignment.job.home(), home);
    assert!(step.assignment.record_ms.is_some(), "a keyed job records its outcome");
    let source = Source::Run(Reply::Batch("another".into()));
    rig.submit(Submission { identity: keyed, source, ..by_pointer.clone() });
    assert_eq!(rig.steps().len(), 0, "it is in flight already");
    // Without a routing key it stands for itself, whatever is in the input and in the definition.
    let alone = Identity::Key { idempotency: "order-2".into(), routing: None };
    rig.submit(Submission { identity: alone.clone(), ..by_pointer.clone() });
    assert_eq!(rig.step().assignment.job, JobId::keyed(order(2), "shop", None, "order-2"));
    let input = Bytes::from_static(br#"{"customer":"eve"}"#);
    rig.submit(Submission { identity: alone, input, ..by_pointer.clone() });
    assert_eq!(rig.steps().len(), 0, "it is in flight already");
    // The name of a submission is nobody else's.
    let named = Identity::Request { request: "order-2".into(), routing: None };
    rig.submit(Submission { identity: named.clone(), ..by_pointer.clone() });
    assert_eq!(rig.step().assignment.job.home(), home);
    rig.submit(Submission { identity: named, ..by_pointer });
    assert_eq!(rig.steps().len(), 0, "it is in flight already");
}

/// The partition of an order's idempotency key.
fn order(number: u32) -> u16 {
    catena_protocol::partition(&format!("order-{number}"), 64)
}

#[test]
fn what_takes_effect_at_once_is_asked_about_first_if_it_may_have_been_before() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let latest = r#"{"steps":["writing"],"isolation":"latest"}"#;
    let definition = catena_protocol::chain::Definition::parse(latest).unwrap();
    let name = Name::new("count").unwrap();
    rig.input(Input::Chain { name: name.clone(), revision: 1, definition: Some(Ok(definition)) });
    let submission =
        |identity| Submission { called: Called::Named(name.clone()), identity, ..run(1, "") };
    rig.submit(submission(Identity::Random { routing: None }));
    assert_eq!((rig.steps().len(), rig.asks().len()), (1, 0), "nobody has sent it before");
    let keyed = Identity::Key { idempotency: "order-1".into(), routing: None };
    let known = JobId::keyed(order(1), "count", None, "order-1");
    rig.submit(submission(keyed.clone()));
    assert_eq!((rig.steps().len(), rig.asks()), (0, vec![Ask::Outcome(known)]));
    let outcome = rig.outcome(known, End::Committed(Bytes::from_static(b"7").into()));
    rig.told(known, Tell::Outcome(Some(outcome)));
    assert_eq!(rig.answers().len(), 1);
    rig.submit(submission(keyed));
    assert_eq!(rig.asks().len(), 1);
    rig.told(known, Tell::Outcome(None));
    assert_eq!(rig.step().assignment.job, known);
    let source = Source::Queue { token: 1, again: false, stored_ms: WALL_US / 1_000 };
    let queued = Identity::Given { job: job(5), keyed: false };
    rig.submit(Submission { source, ..submission(queued) });
    assert_eq!((rig.steps().len(), rig.asks()), (0, vec![Ask::Outcome(job(5))]));
}

#[test]
fn deadlines_of_jobs_in_flight_are_told_like_those_of_chains() {
    let mut rig = Rig::new();
    rig.worker("w", 100);
    let before = rig.longest_deadline_ms();
    let source = Source::Queue { token: 1, again: false, stored_ms: WALL_US / 1_000 };
    rig.submit(Submission { deadline_ms: 1_800_000, source, ..run(1, "pure") });
    assert_eq!((before, rig.longest_deadline_ms()), (0, 1_800_000));
}
