//! Runs the command.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Timeout for steps that take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command without configuration from the environment, and with its own store.
pub(crate) struct Hostler {
    pub(crate) folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// The exit code and output of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Hostler {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), variables: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOSTLER_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).env("XDG_DATA_HOME", self.folder.path()).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("the command runs");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("it prints text"),
            stderr: String::from_utf8(output.stderr).expect("it prints text"),
        }
    }

    /// Serves a simulated model, and waits until it is ready.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        let fixed = ["serve", "--json", "--engine", "simulated", "--model", "sim", "--address", "127.0.0.1:0"];
        self.start(&[&fixed[..], arguments].concat())
    }

    /// Starts a server, and waits until it prints its URL.
    pub(crate) fn start(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it is readable");
        let ready: serde_json::Value = serde_json::from_str(&line).expect("it prints one JSON line when it is ready");
        let url = ready["url"].as_str().expect("it says where it listens");
        Server { address: url.trim_start_matches("http://").to_owned(), url: url.to_owned(), child }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) url: String,
    child: Child,
}

impl Server {
    pub(crate) fn request(&self, head: &str, body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("a time above zero is allowed");
        let length = body.len();
        write!(
            connection,
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads requests");
        connection
    }

    /// Sends a request, and waits for the complete answer.
    pub(crate) fn answer(&self, head: &str, body: &str) -> String {
        let mut text = String::new();
        self.request(head, body).read_to_string(&mut text).expect("it answers in time");
        text
    }

    pub(crate) fn signal(&self, signal: &str) {
        self::signal(signal, self.id());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has exited. Returns its log, too.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut log).expect("it logs text");
        (self.child.wait().expect("it is our child"), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}
