//! Forwards a child's log lines to this process's log, with the name of the scheduler.

use std::io::Write;

use hostler_config::LogFormat;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Forwards lines until the child closes its standard error.
pub(super) async fn forward(stderr: impl AsyncRead + Unpin, name: String, format: LogFormat) {
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = with_name(format, &name, &String::from_utf8_lossy(&line));
        // If standard error is closed, there is nowhere to report that.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}

/// A line with the name of its process: in front of text, as a field of a JSON object.
fn with_name(format: LogFormat, name: &str, line: &str) -> String {
    match format {
        LogFormat::Text => format!("{name}: {line}"),
        // Libraries and panics write lines that are not JSON.
        LogFormat::Json => match serde_json::from_str::<serde_json::Value>(line) {
            Ok(serde_json::Value::Object(mut fields)) => {
                fields.insert("process".to_owned(), name.into());
                serde_json::Value::Object(fields).to_string()
            }
            _ => serde_json::json!({ "level": "WARN", "message": line, "process": name }).to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_content_and_gets_the_name() {
        assert_eq!(with_name(LogFormat::Text, "small", "INFO serving"), "small: INFO serving");
        let line = with_name(LogFormat::Json, "small", r#"{"level":"INFO","message":"serving"}"#);
        assert_eq!(line, r#"{"level":"INFO","message":"serving","process":"small"}"#);
        let panic = with_name(LogFormat::Json, "small", "thread 'main' panicked");
        assert!(panic.starts_with('{') && panic.contains("panicked"), "{panic}");
    }
}
