//! The tables of `docs/metrics.md`, written from the catalogue.

use std::fmt::Write;

use crate::catalogue::ALL;
use crate::metric::buckets::SCALES;
use crate::metric::{Kind, Metric};

/// The tables of all metrics, by component, and of the scales of the histograms.
#[must_use]
pub fn reference_tables() -> String {
    let mut text = String::new();
    let mut section = "";
    for metric in ALL {
        let component = component(metric.name);
        if component != section {
            section = component;
            let _ =
                writeln!(text, "\n## {section}\n\n| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|");
        }
        row(&mut text, metric);
    }
    text.push_str("\n## Buckets of histograms\n\n| scale | upper bounds |\n|---|---|\n");
    for (name, bounds) in SCALES {
        let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "| {name} | {} |", bounds.join(", "));
    }
    text
}

fn row(text: &mut String, metric: &Metric) {
    let Metric { name, kind, help, labels } = metric;
    let kind = match kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(bounds) => {
            let scale = SCALES.iter().find(|(_, scale)| scale == bounds).map_or("own", |(name, _)| name);
            format!("histogram ({scale})")
        }
    };
    let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    let unit = metric.unit().unwrap_or("–");
    let _ = writeln!(text, "| `{name}` | {kind} | {unit} | {labels} | {} |", help.replace('|', "\\|"));
}

/// `scheduler` for `hostler_scheduler_…`, `process` for `process_…`.
fn component(name: &'static str) -> &'static str {
    name.strip_prefix("hostler_").unwrap_or(name).split('_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_histogram_has_a_named_scale() {
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(SCALES.iter().any(|(_, scale)| *scale == bounds), "{}", metric.name);
            }
        }
    }

    #[test]
    fn a_component_has_one_table() {
        let mut components: Vec<_> = ALL.iter().map(|metric| component(metric.name)).collect();
        components.dedup();
        let mut once = components.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(components.len(), once.len(), "metrics of one component must be adjacent: {components:?}");
    }
}
