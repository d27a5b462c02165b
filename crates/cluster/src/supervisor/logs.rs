//! Forwards a child's log lines to this process's log, with the name of the scheduler.

use std::io::Write;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLines {
    /// Text: the name is put before the line.
    Text,
    /// One JSON object per line: the name is added as the field `process`.
    Json,
}

/// Forwards lines until the child closes its standard error.
pub(super) async fn forward(stderr: impl AsyncRead + Unpin, name: String, format: LogLines) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = format.with_name(&name, &String::from_utf8_lossy(&line));
        // If standard error is closed, there is nowhere to report that.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

impl LogLines {
    fn with_name(self, name: &str, line: &str) -> String {
        match self {
            Self::Text => format!("{name}: {line}"),
            // Lines of libraries and panics are not JSON.
            Self::Json => match serde_json::from_str::<serde_json::Value>(line) {
                Ok(serde_json::Value::Object(mut fields)) => {
                    fields.insert("process".to_owned(), name.into());
                    serde_json::Value::Object(fields).to_string()
                }
                _ => serde_json::json!({ "level": "WARN", "message": line, "process": name }).to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_content_and_gets_the_name() {
        assert_eq!(LogLines::Text.with_name("small", "INFO serving"), "small: INFO serving");
        let line = LogLines::Json.with_name("small", r#"{"level":"INFO","message":"serving"}"#);
        assert_eq!(line, r#"{"level":"INFO","message":"serving","process":"small"}"#);
        let panic = LogLines::Json.with_name("small", "thread 'main' panicked");
        assert!(panic.starts_with('{') && panic.contains("panicked"), "{panic}");
    }
}
