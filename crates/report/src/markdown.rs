//! Results and comparisons as Markdown, which is also the terminal output.

use hostler_loadgen::result::{BenchmarkResult, Comparison, SIGNIFICANCE};

use crate::document::{Part, document};
use crate::format::{format_estimate, format_probability, metric_title};
use crate::table::Table;

/// The report of a result.
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

/// A comparison of two results.
#[must_use]
pub fn comparison(comparison: &Comparison) -> String {
    let mut table = Table::new(["metric", "old", "new", "change", "p", "verdict"]);
    for change in &comparison.changes {
        let verdict = format!("{:?}", change.verdict).to_lowercase();
        table.row([
            format!("{}: {}", change.series, metric_title(change.metric)),
            format_estimate(change.metric, &change.old),
            format_estimate(change.metric, &change.new),
            format!("{:+.1} %", change.change * 100.0),
            format_probability(change.probability),
            if change.metric.decides() { verdict } else { format!("({verdict})") },
        ]);
    }
    let mut notes = Vec::new();
    if !comparison.same_work {
        notes.push("the two results have DIFFERENT plans or load shapes".to_owned());
    }
    notes.extend(comparison.unmatched.iter().map(|name| format!("only one of the results has {name}")));
    let percent = comparison.threshold * 100.0;
    notes.push(format!(
        "a change counts if it exceeds {percent} % with p ≤ {SIGNIFICANCE}: Mann-Whitney test of the rounds, corrected \
         for the number of metrics (Holm)"
    ));
    notes.extend(too_few_rounds(comparison));
    notes.push("verdicts in parentheses do not affect the exit code".to_owned());
    format!("{}\n{}", table.markdown(), list(&notes))
}

/// What to do if the results have too few rounds for any verdict.
#[must_use]
pub fn too_few_rounds(comparison: &Comparison) -> Option<String> {
    let needed = comparison.rounds_needed?;
    Some(format!(
        "TOO FEW ROUNDS: no difference can be told from noise; measure both results with --repeats {needed} or more \
         (20 find 3 %)"
    ))
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}
