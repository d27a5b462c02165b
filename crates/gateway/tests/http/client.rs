//! An HTTP/1.1 client that exposes heads and chunks as they arrive.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whatever takes longer in these tests hangs.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits for a future, with a timeout.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(TIMEOUT, future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen in {TIMEOUT:?}"),
    }
}

/// A response's status and headers.
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A whole response.
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks the headers of a stream of events, one of which keeps nginx from buffering it.
    pub(crate) fn assert_is_event_stream(&self) {
        for (name, value) in
            [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        {
            assert_eq!(self.head.header(name), Some(value), "{name}");
        }
    }

    /// `error.<field>` of an error body.
    pub(crate) fn error(&self, field: &str) -> Value {
        self.json()["error"][field].clone()
    }

    /// The names, if any, and the data of its server-sent events. Every block must have data:
    /// OpenAI's client for Go fails on one without.
    pub(crate) fn events(&self) -> Vec<(Option<&str>, &str)> {
        let event = |block| parse_event(block).unwrap_or_else(|| panic!("a block without data: {block:?}"));
        self.body.split_terminator("\n\n").map(event).collect()
    }

    /// The JSON of all of its events but `[DONE]`.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        self.events().iter().filter_map(|(_, data)| serde_json::from_str(data).ok()).collect()
    }
}

fn parse_event(block: &str) -> Option<(Option<&str>, &str)> {
    let name = block.lines().find_map(|line| line.strip_prefix("event: "));
    let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
    Some((name, data))
}

/// One connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.expect("the gateway listens")))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("the gateway reads");
    }

    pub(crate) async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(&[head.as_bytes(), body].concat()).await;
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        within("a line", self.0.read_line(&mut line)).await.expect("the gateway answers");
        line.trim_end().to_owned()
    }

    /// Whether the gateway closes the connection without sending more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.0.fill_buf().await.map_or(true, <[u8]>::is_empty)
    }

    /// Everything until the gateway closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        within("the end", self.0.read_to_string(&mut rest)).await.expect("it is text");
        rest
    }

    /// The head of the next response.
    pub(crate) async fn head(&mut self) -> Head {
        let status_line = self.line().await;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => return Head { status, headers },
            }
        }
    }

    /// The next chunk of a chunked body; `None` after the last.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = usize::from_str_radix(&self.line().await, 16).expect("a chunk size");
        let mut chunk = vec![0; size + 2];
        within("a chunk", self.0.read_exact(&mut chunk)).await.expect("a whole chunk");
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).expect("UTF-8"))
    }

    /// The body of the response with this head.
    pub(crate) async fn body(&mut self, head: &Head) -> String {
        if head.header("transfer-encoding") == Some("chunked") {
            let mut body = String::new();
            while let Some(chunk) = self.chunk().await {
                body.push_str(&chunk);
            }
            return body;
        }
        let length = head.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; length];
        within("a body", self.0.read_exact(&mut body)).await.expect("a whole body");
        String::from_utf8(body).expect("UTF-8")
    }

    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        let body = self.body(&head).await;
        Response { head, body }
    }
}
