//! Signals: the first asks for an end, the second makes one.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a command that Ctrl-C ended, by the shells' convention.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on signals are ours; before, they ended the process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }

    /// Ends the process at the next one.
    pub(crate) async fn end_at_next(mut self) -> std::convert::Infallible {
        let name = self.next().await;
        tracing::warn!(signal = name, "ending at once");
        std::process::exit(INTERRUPTED)
    }
}
