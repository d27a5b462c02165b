//! Results as one page of HTML that needs nothing else.

use super::document::{Part, document};
use super::plots::{self, PlotError};
use crate::result::BenchmarkResult;

/// All that the page is styled with.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;margin:1.5em 0}th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}\
    th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}details{margin:1.5em 0}\
    pre{overflow:auto;background:#f6f6f6;padding:1em}";

/// A whole result, with its plots and, at the end, the result itself as JSON
/// (without the rounds), so that the page alone tells how to repeat it.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn html(result: &BenchmarkResult) -> Result<String, PlotError> {
    let mut body = String::from("<h1>Hostler benchmark</h1>\n");
    let parts = document(result);
    for part in &parts {
        match part {
            Part::List(lines) => {
                let items: String = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
                body.push_str(&format!("<ul>{items}</ul>\n"));
            }
            Part::Table(table) => body.push_str(&table.html()),
        }
    }
    for plot in plots::all(result)? {
        body.push_str(&format!("<figure>{plot}</figure>\n"));
    }
    let plan = serde_json::json!({
        "plan": result.plan,
        "machine": result.machine,
        "version": result.version,
        "commit": result.commit,
        "started_unix_seconds": result.started_unix_seconds,
        "targets": result.series.iter().map(|series| &series.target).collect::<Vec<_>>(),
    });
    let plan = escaped(&format!("{plan:#}"));
    body.push_str(&format!("<details><summary>How to repeat it</summary><pre>{plan}</pre></details>\n"));
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Hostler benchmark</title>\
         <style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    ))
}

/// Text as HTML: what a server says of itself may hold anything.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
