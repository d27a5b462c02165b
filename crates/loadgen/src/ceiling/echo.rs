//! The echo: an OpenAI-compatible server that computes nothing.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Longest request body, in bytes. The generator in this process sends no longer ones.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Delays of the echo's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EchoTimings {
    /// Before the first token.
    pub first_token: Duration,
    /// Before each further one.
    pub gap: Duration,
}

/// A server on its own thread and a free port of 127.0.0.1, so that its work is not on the
/// generator's thread. Dropping it stops the server.
#[derive(Debug)]
pub struct EchoServer {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl EchoServer {
    /// Starts the server.
    ///
    /// # Errors
    /// If it cannot get a port or a thread.
    pub fn start(timings: EchoTimings) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("benchmark-echo".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // Resolves when the sender is dropped; nothing is sent.
                    _ = stopped => {}
                    () = accept(listener, timings) => {}
                }
            });
        })?;
        Ok(Self { address, _stop: stop })
    }

    /// The URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept(listener: std::net::TcpListener, timings: EchoTimings) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    // The client notices a failed connection.
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(async move { serve(connection, timings).await.ok() });
    }
}

/// Answers requests until the client closes the connection.
async fn serve(connection: TcpStream, timings: EchoTimings) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let (reader, mut writer) = connection.into_split();
    let mut reader = BufReader::new(reader);
    while let Some(body) = read_request(&mut reader).await? {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let tokens = request.get("max_tokens").and_then(Value::as_u64).unwrap_or(1);
        let streams = request.get("stream").and_then(Value::as_bool) == Some(true);
        match request {
            Value::Null => write_json(&mut writer, &json!({"object": "list", "data": [{"id": "echo"}]})).await?,
            _ if streams => write_stream(&mut writer, tokens, timings).await?,
            _ => {
                let remaining = u32::try_from(tokens.saturating_sub(1)).unwrap_or(u32::MAX);
                pause(timings.first_token + timings.gap * remaining).await;
                let text = " a".repeat(usize::try_from(tokens).unwrap_or_default());
                write_json(
                    &mut writer,
                    &json!({"choices": [{"text": text, "finish_reason": "length"}], "usage": usage(tokens)}),
                )
                .await?;
            }
        }
    }
    Ok(())
}

/// The body of the next request, empty if it has none; `None` at the end of the
/// connection.
async fn read_request(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).await? > 0 {
        let header = line.trim_end();
        if header.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await?;
            return Ok(Some(body));
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0).min(BODY_BYTES_MAX);
        }
        line.clear();
    }
    Ok(None)
}

/// One chunk and one write per token, as servers send them.
async fn write_stream(
    writer: &mut (impl AsyncWriteExt + Unpin),
    tokens: u64,
    timings: EchoTimings,
) -> std::io::Result<()> {
    writer
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    for nth in 0..tokens {
        pause(if nth == 0 { timings.first_token } else { timings.gap }).await;
        write_event(writer, r#"{"choices":[{"index":0,"text":" a","delta":{"content":" a"},"finish_reason":null}]}"#)
            .await?;
    }
    write_event(writer, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#).await?;
    write_event(writer, &json!({"choices": [], "usage": usage(tokens)}).to_string()).await?;
    write_event(writer, "[DONE]").await?;
    writer.write_all(b"0\r\n\r\n").await
}

async fn write_event(writer: &mut (impl AsyncWriteExt + Unpin), data: &str) -> std::io::Result<()> {
    // "data: " and two line feeds take eight bytes.
    let chunk = format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8);
    writer.write_all(chunk.as_bytes()).await
}

async fn write_json(writer: &mut (impl AsyncWriteExt + Unpin), body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    writer.write_all(answer.as_bytes()).await
}

/// Reports one prompt token, because the echo does not read the prompt.
fn usage(tokens: u64) -> Value {
    json!({"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1})
}

/// Does not use a timer for a zero delay: it would take a millisecond.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
