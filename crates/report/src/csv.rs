//! Results as comma-separated values: one line per metric and round.

use hostler_loadgen::result::{BenchmarkResult, Metric};

/// The CSV could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write CSV: {0}")]
pub struct CsvError(String);

/// Columns `series,shape,round,metric,value`, in the metrics' own units, which are the last
/// part of their names.
///
/// # Errors
/// [`CsvError`].
pub fn csv(result: &BenchmarkResult) -> Result<String, CsvError> {
    write(result).map_err(|error| CsvError(error.to_string()))
}

fn write(result: &BenchmarkResult) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["series", "shape", "round", "metric", "value"])?;
    for series in &result.series {
        for (round, run) in (1u32..).zip(&series.runs) {
            for metric in Metric::all() {
                if let Some(value) = metric.value(run) {
                    let (shape, round) = (series.shape.label(), round.to_string());
                    writer.write_record([&series.name, &shape, &round, &metric.to_string(), &value.to_string()])?;
                }
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
