//! How far a long command has come: a bar on a terminal, now and then a plain line elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Where there is no terminal, a line is written so often.
const PLAIN: Duration = Duration::from_secs(10);
/// A bar is drawn so often per second.
const RATE: u8 = 10;

/// Progress on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    bar: Option<ProgressBar>,
    began: Instant,
    next_line: Instant,
    done: u64,
}

impl Progress {
    /// `what` is done, `total` times if that is known.
    pub(crate) fn new(what: impl Into<String>, total: Option<u64>) -> Self {
        let (what, began) = (what.into(), Instant::now());
        let bar = std::io::stderr().is_terminal().then(|| bar(&what, total));
        Self { what, bar, began, next_line: began + PLAIN, done: 0 }
    }

    /// So much more is done.
    pub(crate) fn add(&mut self, count: u64) {
        self.done += count;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if Instant::now() >= self.next_line => {
                eprintln!("{}: {} after {:.0?}", self.what, self.done, self.began.elapsed());
                self.next_line += PLAIN;
            }
            None => {}
        }
    }

    /// Writes a line without disturbing the bar.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// How much is done.
    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// How long it took so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, total: Option<u64>) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(RATE);
    let bar = ProgressBar::with_draw_target(total, target);
    let template = if total.is_some() {
        "{msg} [{bar:30}] {human_pos}/{human_len} {per_sec} eta {eta}"
    } else {
        "{spinner} {msg} {human_pos} {per_sec} {elapsed}"
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
