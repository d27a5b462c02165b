//! One child process, from its start to its exit.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use hostler_config::LogFormat;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child as Process, ChildStdin};

use super::logs::forward;

/// The line on a child's standard input that tells it to finish its requests and exit. If the input
/// closes without it, the parent is gone.
pub const SHUTDOWN_LINE: &str = "end\n";

/// A child process. Dropping it kills the process.
pub(super) struct Child {
    process: Process,
    id: u32,
    /// Its standard input. The kernel closes it when this process ends, for whatever reason.
    stdin: ChildStdin,
}

impl Child {
    /// Starts the process, and sends it its configuration.
    pub(super) async fn start(command: Command, configuration: &str, name: &str, logs: LogFormat) -> io::Result<Self> {
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C reaches only the parent, which tells its children to exit after their requests.
        command.process_group(0);
        let mut process = command.spawn()?;
        let (Some(mut stdin), Some(stderr), Some(id)) = (process.stdin.take(), process.stderr.take(), process.id())
        else {
            return Err(io::Error::other("its standard input and error are not pipes"));
        };
        tokio::spawn(forward(stderr, name.to_owned(), logs));
        // If the process has exited already, `exited` returns its status.
        if let Err(error) = stdin.write_all(format!("{configuration}\n").as_bytes()).await {
            tracing::debug!(%error, "the child process exited before it was configured");
        }
        Ok(Self { process, id, stdin })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Waits until the process exits, and returns how.
    pub(super) async fn exited(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => describe(status),
            Err(error) => error.to_string(),
        }
    }

    /// Tells the process to finish its requests and exit, and waits until it does.
    pub(super) async fn shut_down(&mut self) {
        // An error means that it has exited.
        let _ = self.stdin.write_all(SHUTDOWN_LINE.as_bytes()).await;
        self.exited().await;
    }
}

/// An exit status as text, a signal by its number.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}
