//! One timer for a loop whose deadline changes with each turn.

use catena_link::Clock;
use std::pin::Pin;
use tokio::time::Sleep;

/// Sleeps until a machine's next deadline; costs nothing while that stays the same.
pub(crate) struct Alarm {
    clock: Clock,
    due_us: Option<u64>,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, due_us: None, sleep: Box::pin(tokio::time::sleep_until(clock.at(0))) }
    }

    /// Sets the next deadline, in monotonic microseconds; none: there is nothing to wait for.
    pub(crate) fn set(&mut self, due_us: Option<u64>) {
        if let Some(due_us) = due_us.filter(|_| self.due_us != due_us) {
            self.sleep.as_mut().reset(self.clock.at(due_us));
        }
        self.due_us = due_us;
    }

    /// Returns at the deadline. Cancel safe.
    pub(crate) async fn rings(&mut self) {
        if self.due_us.is_none() {
            std::future::pending::<()>().await;
        }
        self.sleep.as_mut().await;
        self.due_us = None;
    }
}
