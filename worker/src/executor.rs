//! Runs operators: at once where that is quick, as tasks where it is not.
//!
//! Promise: whatever an operator does (panic, hang, block, return late), the loop that started it
//! goes on, and every run ends with one [`Done`] unless it was stopped.

use crate::catalogue::{Catalogue, Ready};
use crate::machine::{Run, Token};
use crate::natives::Natives;
use crate::operator::{Context, Opening, Output, Store};
use bytes::Bytes;
use catena_protocol::message::handoff::Effects;
use catena_protocol::{Blob, Code, Fault};
use futures_util::FutureExt;
use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// A step that has ended.
pub(crate) struct Done {
    pub(crate) token: Token,
    pub(crate) output: Result<Blob, Fault>,
    pub(crate) effects: Effects,
}

/// How a run began.
pub(crate) enum Begun {
    /// It has ended already.
    Done(Done),
    /// It goes on; [`Executor::finished`] will have it.
    Running(Token),
}

/// A step that is being run.
struct Running {
    task: AbortHandle,
    context: Context,
    native: bool,
}

/// Runs operators.
pub(crate) struct Executor {
    store: Arc<dyn Store>,
    natives: Option<Natives>,
    running: HashMap<Token, Running>,
    sender: mpsc::UnboundedSender<Done>,
    receiver: mpsc::UnboundedReceiver<Done>,
}

impl Executor {
    /// With natives, operators of unknown authors, a runtime of its own keeps one that blocks
    /// from stopping the worker.
    pub(crate) fn new(store: Arc<dyn Store>, natives: bool) -> std::io::Result<Self> {
        // Bounded by the worker's capacity: a step has at most one message here.
        let (sender, receiver) = mpsc::unbounded_channel();
        let natives = if natives { Some(Natives::new()?) } else { None };
        Ok(Self { store, natives, running: HashMap::new(), sender, receiver })
    }

    /// Begins a step.
    pub(crate) fn begin(&mut self, catalogue: &mut Catalogue, run: Run) -> Begun {
        let ready = match catalogue.step(run.hash, &run.chain, run.index) {
            Ok(ready) => ready.clone(),
            Err(fault) => return Begun::Done(done(run.token, Err(fault), run.effects)),
        };
        let operator = &ready.configured.operator;
        if !ready.native {
            let at_once = catch_unwind(AssertUnwindSafe(|| operator.run_now(&run.payload.0)));
            match at_once {
                Ok(None) => {}
                Ok(Some(output)) => return Begun::Done(done(run.token, output, run.effects)),
                Err(panic) => {
                    let fault = Err(panicked(&run, panic.as_ref()));
                    return Begun::Done(done(run.token, fault, run.effects));
                }
            }
        }
        self.begin_future(ready, run)
    }

    fn begin_future(&mut self, ready: Ready, mut run: Run) -> Begun {
        let token = run.token;
        let context = Context::open(opening(&ready, &mut run), Arc::clone(&self.store));
        let payload = std::mem::take(&mut run.payload).0;
        let mut future = guarded(ready.clone(), run, context.clone(), payload).boxed();
        if !ready.native {
            // Operators that only touch their own buffer end at the first look, with no task.
            let mut looking = std::task::Context::from_waker(Waker::noop());
            if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut looking) {
                let effects = context.finish().unwrap_or_default();
                return Begun::Done(done(token, output, effects));
            }
        }
        let handle = match &mut self.natives {
            Some(natives) if ready.native => match natives.handle() {
                Some(handle) => handle,
                None => return Begun::Done(done(token, Err(blocked()), Effects::default())),
            },
            _ => Handle::current(),
        };
        let (sender, ending) = (self.sender.clone(), context.clone());
        let task = async move {
            let output = future.await;
            let effects = ending.finish().unwrap_or_default();
            let _ = sender.send(done(token, output, effects));
        };
        let task = handle.spawn(task).abort_handle();
        self.running.insert(token, Running { task, context, native: ready.native });
        Begun::Running(token)
    }

    /// Waits for steps that have ended, and takes at most `most` of them.
    pub(crate) async fn finished(&mut self, most: usize, out: &mut Vec<Done>) {
        self.receiver.recv_many(out, most).await;
        for done in out.iter() {
            self.running.remove(&done.token);
        }
    }

    /// Stops a step: its context is closed, its result dropped.
    pub(crate) fn stop(&mut self, token: Token) {
        let Some(Running { task, context, native }) = self.running.remove(&token) else { return };
        context.finish();
        task.abort();
        if let Some(natives) = self.natives.as_mut().filter(|_| native) {
            natives.stopped(task);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(natives) = self.natives.take() {
            // A native that blocks for ever must not keep the process from ending.
            natives.end();
        }
    }
}

fn blocked() -> Fault {
    Fault::new(
        Code::Unavailable,
        "operators that do not end block all threads of this worker; restart it",
    )
}

fn opening(ready: &Ready, run: &mut Run) -> Opening {
    Opening {
        job: run.job,
        chain: run.chain.name.clone(),
        step: run.index,
        effect: ready.configured.effect,
        isolation: run.chain.isolation,
        snapshot: run.snapshot,
        trace: run.trace.take(),
        effects: std::mem::take(&mut run.effects),
    }
}

async fn guarded(ready: Ready, run: Run, context: Context, payload: Bytes) -> Output {
    let running = async move { ready.configured.operator.run(context, payload).await };
    match AssertUnwindSafe(running).catch_unwind().await {
        Ok(output) => output,
        Err(panic) => Err(panicked(&run, panic.as_ref())),
    }
}

fn panicked(run: &Run, panic: &(dyn Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let operator = &run.chain.steps[usize::from(run.index)].operator;
    let text: String = text.chars().take(500).collect();
    Fault::new(Code::OperatorFailed, format!("operator `{operator}` panicked: {text}"))
}

fn done(token: Token, output: Output, effects: Effects) -> Done {
    Done { token, output: output.map(Blob), effects }
}
