//! Stopping in an orderly way: one request, heard by everybody who holds a [`Shutdown`].

use tokio::sync::watch;

/// Asks for the end. When it is dropped, the end is asked for as well.
#[derive(Debug)]
pub struct ShutdownHandle(watch::Sender<bool>);

/// Hears that the end was asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A pair of the two.
pub fn shutdown() -> (ShutdownHandle, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownHandle(sender), Shutdown(receiver))
}

impl ShutdownHandle {
    /// Asks for the end. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns once the end was asked for.
    pub async fn requested(&mut self) {
        // An error means that the handle is gone, which asks for the end as well.
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Whether the end was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// A [`Shutdown`] that SIGINT or SIGTERM asks for. A second signal ends the process at once.
pub fn on_signals() -> Shutdown {
    on_signals_then(|| {})
}

/// As [`on_signals`]; `at_once` is called before a second signal ends the process, to end what
/// would otherwise outlive it.
pub fn on_signals_then(at_once: impl FnOnce() + Send + 'static) -> Shutdown {
    let (handle, shutdown) = shutdown();
    tokio::spawn(async move {
        let signal = next_signal().await;
        tracing::info!(signal, "draining; send it again to stop at once");
        handle.request();
        next_signal().await;
        tracing::warn!("stopped at once; unfinished steps are run again elsewhere");
        at_once();
        std::process::exit(130);
    });
    shutdown
}

async fn next_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => "SIGINT",
            Err(_) => std::future::pending().await,
        },
    }
}
