//! A child's log lines go on to this process's own log, with the scheduler's name.

use std::io::Write;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLines {
    /// For people: the name comes first.
    Text,
    /// One JSON object a line: the name is one of its fields.
    Json,
}

/// Passes lines on until the child has closed its end.
pub(super) async fn forward(stderr: impl AsyncRead + Unpin, name: String, format: LogLines) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = format.named(&name, &String::from_utf8_lossy(&line));
        // Nobody can be told of a standard error that is gone.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

impl LogLines {
    fn named(self, name: &str, line: &str) -> String {
        match self {
            Self::Text => format!("{name}: {line}"),
            // What a library or a panic writes is no JSON.
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
    fn a_line_gets_its_name_and_stays_what_it_was() {
        assert_eq!(LogLines::Text.named("small", "INFO serving"), "small: INFO serving");
        let line = LogLines::Json.named("small", r#"{"level":"INFO","message":"serving"}"#);
        assert_eq!(line, r#"{"level":"INFO","message":"serving","process":"small"}"#);
        let panic = LogLines::Json.named("small", "thread 'main' panicked");
        assert!(panic.starts_with('{') && panic.contains("panicked"), "{panic}");
    }
}
