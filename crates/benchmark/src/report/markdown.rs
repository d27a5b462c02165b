//! Results as Markdown, which is also what a terminal shows.

use super::document::{Part, document};
use super::table::Table;
use super::words::{named, shown};
use crate::result::{BenchmarkResult, Comparison};

/// A whole result.
#[must_use]
pub fn markdown(result: &BenchmarkResult) -> String {
    let parts: Vec<String> = document(result)
        .iter()
        .map(|part| match part {
            Part::List(lines) => list(lines),
            Part::Table(table) => table.markdown(),
        })
        .collect();
    parts.join("\n")
}

/// Two results against each other.
#[must_use]
pub fn comparison(comparison: &Comparison) -> String {
    let mut table = Table::new(["metric", "old", "new", "change", "verdict"]);
    for change in &comparison.changes {
        let verdict = format!("{:?}", change.verdict).to_lowercase();
        table.row([
            format!("{}: {}", change.series, named(change.metric)),
            shown(change.metric, &change.old),
            shown(change.metric, &change.new),
            format!("{:+.1} %", change.change * 100.0),
            if change.metric.decides() { verdict } else { format!("({verdict})") },
        ]);
    }
    let mut notes = Vec::new();
    if !comparison.same_work {
        notes.push("the two did NOT do the same work".to_owned());
    }
    notes.extend(comparison.unmatched.iter().map(|name| format!("{name} is in one of the results only")));
    let percent = comparison.threshold * 100.0;
    notes.push(format!("a change counts beyond {percent} % and if the intervals do not overlap"));
    notes.push("verdicts in parentheses decide nothing".to_owned());
    format!("{}\n{}", table.markdown(), list(&notes))
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}
