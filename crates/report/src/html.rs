//! Results as one self-contained HTML page.

use hostler_loadgen::result::BenchmarkResult;
use minijinja::{Environment, context};

use crate::document::document;
use crate::plots::{self, PlotError};

/// The page. Its name ends in `.html`, so that everything but the plots is escaped: names
/// and descriptions come from servers.
const TEMPLATE: (&str, &str) = ("report.html", include_str!("report.html"));

/// The page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The template could not be rendered.
    #[error("cannot render the page: {0}")]
    Template(#[from] minijinja::Error),
}

/// A whole result with its plots and, at the end, the plan, machine and targets as JSON, so
/// that the page says how to repeat the benchmark.
///
/// # Errors
/// [`HtmlError`].
pub fn html(result: &BenchmarkResult) -> Result<String, HtmlError> {
    let plan = serde_json::json!({
        "plan": result.plan,
        "machine": result.machine,
        "version": result.version,
        "commit": result.commit,
        "started_unix_seconds": result.started_unix_seconds,
        "targets": result.series.iter().map(|series| &series.target).collect::<Vec<_>>(),
    });
    let mut environment = Environment::new();
    environment.add_template(TEMPLATE.0, TEMPLATE.1)?;
    let page = environment.get_template(TEMPLATE.0)?;
    Ok(page.render(context! { parts => document(result), plots => plots::all(result)?, plan => format!("{plan:#}") })?)
}
