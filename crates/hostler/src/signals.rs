//! Signals: the first starts a graceful shutdown, the second ends the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a command that Ctrl-C ended, by convention of shells.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes over signals; before this, a signal ends the process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next signal; returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Ends the process at the next signal.
    pub(crate) async fn end_at_next(mut self) -> std::convert::Infallible {
        let name = self.next().await;
        tracing::warn!(signal = name, "exiting immediately");
        std::process::exit(INTERRUPTED)
    }
}
