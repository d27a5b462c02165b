//! Results as comma-separated values: one line for each value of each round.

use std::fmt::Write;

use crate::result::{BenchmarkResult, Metric};

/// Columns `series,shape,round,metric,value`, in the metrics' own units, which
/// stand last in their names.
#[must_use]
pub fn csv(result: &BenchmarkResult) -> String {
    let mut text = String::from("series,shape,round,metric,value\n");
    for series in &result.series {
        for (round, run) in (1..).zip(&series.runs) {
            for metric in Metric::all() {
                if let Some(value) = metric.value(run) {
                    let (name, shape) = (quoted(&series.name), quoted(&series.shape.label()));
                    writeln!(text, "{name},{shape},{round},{metric},{value}")
                        .expect("a string takes all that is written");
                }
            }
        }
    }
    text
}

/// A field as RFC 4180 wants it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
