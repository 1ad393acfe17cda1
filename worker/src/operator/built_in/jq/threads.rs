//! Threads for work that may take long or never end, with stacks for deep recursion.
//!
//! Promise: a bounded number of threads and of waiting work; work whose asker is gone is told to
//! stop, and does not start if it had not yet. Work that does not stop keeps its thread; when all
//! threads are kept, everything is refused at once instead of waiting for ever.
//!
//! Unknown here: what the work is.

use crate::operator::{Output, payload};
use catena_protocol::{Code, Fault};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::oneshot;

/// Stack of each thread. Memory is used only as far as the stack really grows.
pub(super) const STACK_BYTES: usize = 512 * 1024 * 1024;
/// Work that waits for a thread.
const WAITING: usize = 4_096;

/// One piece of work, as its asker and its thread see it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    cancelled: AtomicBool,
    /// Changed only under the lock of the threads.
    running: AtomicBool,
    worn: AtomicBool,
}

impl Ticket {
    /// Whether nobody waits for the result any more.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Says that the work used much stack: its thread ends afterwards, because the memory of a
    /// stack that has grown is given back only then.
    pub(super) fn wear(&self) {
        self.worn.store(true, Ordering::Relaxed);
    }
}

type Answer = oneshot::Sender<Output>;
type Work = Box<dyn FnOnce(&Ticket) -> Output + Send>;

struct Item {
    ticket: Arc<Ticket>,
    work: Work,
    answer: Answer,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Item>,
    threads: usize,
    idle: usize,
    /// Threads whose work was cancelled and has not stopped yet.
    kept: usize,
}

/// A set of threads. Cheap to clone.
#[derive(Clone)]
pub(super) struct Threads {
    shared: Arc<(Mutex<State>, Condvar)>,
    most: usize,
}

impl Threads {
    /// At most `most` threads, started when they are needed.
    pub(super) fn new(most: usize) -> Self {
        Self { shared: Arc::default(), most }
    }

    /// The threads of this process: twice as many as there are cores, at least eight, because
    /// some may be kept.
    pub(super) fn shared() -> &'static Self {
        static SHARED: OnceLock<Threads> = OnceLock::new();
        SHARED.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Self::new((2 * cores).max(8))
        })
    }

    /// Runs `work` on one of the threads. Dropping the future cancels it.
    ///
    /// # Errors
    /// 429 if all threads are kept by work that does not stop, or too much work waits; 422 if
    /// the work panics; whatever the work returns.
    pub(super) async fn run(
        &self,
        work: impl FnOnce(&Ticket) -> Output + Send + 'static,
    ) -> Output {
        let ticket = Arc::new(Ticket::default());
        let (answer, result) = oneshot::channel();
        let item = Item { ticket: Arc::clone(&ticket), work: Box::new(work), answer };
        self.start(item)?;
        let _cancel = CancelOnDrop { threads: self, ticket };
        result.await.unwrap_or_else(|_| Err(busy("the thread has ended")))
    }

    fn start(&self, item: Item) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.kept >= self.most {
            return Err(busy("all threads are kept by filters that do not stop"));
        }
        if state.waiting.len() >= WAITING {
            return Err(busy("too many filters wait for a thread"));
        }
        // Each idle thread takes one of those that wait already.
        if state.waiting.len() >= state.idle && state.threads < self.most {
            self.spawn(&mut state)?;
        }
        state.waiting.push_back(item);
        drop(state);
        self.shared.1.notify_one();
        Ok(())
    }

    fn spawn(&self, state: &mut State) -> Result<(), Fault> {
        match self.begin() {
            Ok(()) => state.threads += 1,
            // Those that run already will do.
            Err(_) if state.threads > state.kept => {}
            Err(error) => return Err(no_thread(&error)),
        }
        Ok(())
    }

    fn work(&self) {
        loop {
            let Item { ticket, work, answer } = self.next();
            let output = run_one(work, &ticket);
            let ends = self.stopped(&ticket);
            // Nobody waits if it was cancelled.
            let _ = answer.send(output);
            if ends {
                return;
            }
        }
    }

    fn next(&self) -> Item {
        let mut state = self.lock();
        loop {
            while let Some(item) = state.waiting.pop_front() {
                if !item.ticket.is_cancelled() {
                    item.ticket.running.store(true, Ordering::Relaxed);
                    return item;
                }
            }
            state.idle += 1;
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// True: the thread ends, and what waits has another one.
    fn stopped(&self, ticket: &Ticket) -> bool {
        let mut state = self.lock();
        ticket.running.store(false, Ordering::Relaxed);
        if ticket.is_cancelled() {
            state.kept -= 1;
        }
        if !ticket.worn.load(Ordering::Relaxed) {
            return false;
        }
        if state.waiting.len() > state.idle {
            return self.begin().is_ok();
        }
        state.threads -= 1;
        true
    }

    fn begin(&self) -> std::io::Result<()> {
        let threads = self.clone();
        large_stack().spawn(move || threads.work()).map(|_| ())
    }

    fn cancel(&self, ticket: &Ticket) {
        let mut state = self.lock();
        ticket.cancelled.store(true, Ordering::Relaxed);
        if !ticket.running.load(Ordering::Relaxed) {
            return;
        }
        state.kept += 1;
        if state.kept >= self.most {
            // Dropping their answers refuses them.
            state.waiting.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct CancelOnDrop<'a> {
    threads: &'a Threads,
    ticket: Arc<Ticket>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.threads.cancel(&self.ticket);
    }
}

fn run_one(work: Work, ticket: &Ticket) -> Output {
    let run = AssertUnwindSafe(|| work(ticket));
    catch_unwind(run).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// Runs `work` on a thread of its own and waits for it.
///
/// # Errors
/// If there is no thread, or the work panics.
pub(super) fn with_large_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let thread = large_stack().spawn(work).map_err(|error| no_thread(&error))?;
    thread.join().map_err(|panic| panicked(&*panic))
}

fn large_stack() -> std::thread::Builder {
    std::thread::Builder::new().name("jq".to_owned()).stack_size(STACK_BYTES)
}

fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    payload::failed(format!("the jq interpreter panicked: {}", text.unwrap_or("no reason given")))
}

fn no_thread(error: &std::io::Error) -> Fault {
    Fault::new(Code::TooBusy, format!("no thread for a jq filter: {error}; nothing was changed"))
}

fn busy(reason: &str) -> Fault {
    Fault::new(
        Code::TooBusy,
        format!(
            "this worker runs no jq filter now: {reason}; nothing was changed; try again later"
        ),
    )
}
