//! One child process, from its start to its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child as Process, ChildStdin};

use super::logs::{LogLines, forward};

/// Killed when dropped.
pub(super) struct Child {
    process: Process,
    id: u32,
    /// Its leash: closed when this process is gone, however that came about.
    leash: ChildStdin,
}

impl Child {
    /// Starts it, and hands it its configuration.
    pub(super) async fn start(command: Command, configuration: &str, name: &str, logs: LogLines) -> io::Result<Self> {
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is the parent's to hear: it ends its children when their requests have ended.
        command.process_group(0);
        let mut process = command.spawn()?;
        let (Some(mut leash), Some(stderr), Some(id)) = (process.stdin.take(), process.stderr.take(), process.id())
        else {
            return Err(io::Error::other("it has no pipes"));
        };
        tokio::spawn(forward(stderr, name.to_owned(), logs));
        // One that has ended already tells so by its status.
        if let Err(error) = leash.write_all(format!("{configuration}\n").as_bytes()).await {
            tracing::debug!(%error, "a process ended before it was configured");
        }
        Ok(Self { process, id, leash })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Waits until it ends of itself, and says how it did.
    pub(super) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        }
    }

    /// Lets it end: it finishes what runs when its leash is let go with a word.
    pub(super) async fn end(&mut self) {
        // An error means that it is gone.
        let _ = self.leash.write_all(super::END.as_bytes()).await;
        self.ended().await;
    }
}

/// A status in words, a signal by its number.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}
