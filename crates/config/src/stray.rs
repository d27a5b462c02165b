//! Environment variables that are meant as configuration, but are not spelt as it.

use serde_json::Value;
use strsim::damerau_levenshtein;

use crate::{Problem, schema};

/// Letters in which a name may differ from a key's and still be taken for a misspelling of it.
const DISTANCE_MAX: usize = 2;

/// The problem of the variable `HOSTLER_` + `path`, if `path` resembles a key of `schema`:
/// `HOSTLER_SCHEDULER_MAX_BATCH_SIZE` lacks an underscore, and would be ignored silently.
pub(crate) fn problem(schema: &Value, path: &str) -> Option<Problem> {
    // Kubernetes sets such variables for a service that is named hostler or hostler-….
    if path == "PORT" || path.contains("_PORT") || path.ends_with("_HOST") {
        return None;
    }
    let letters = |text: &str| text.replace(['.', '_'], "").to_ascii_lowercase();
    let written = letters(path);
    let keys = schema::keys(schema);
    let dotted = keys.iter().map(|key| format!("{}.{}", key.section, key.name));
    let (_, key) = dotted
        .map(|key| (damerau_levenshtein(&written, &letters(&key)), key))
        .filter(|(distance, _)| *distance <= DISTANCE_MAX)
        .min()?;
    let meant = format!("HOSTLER_{}", key.replace('.', "__").to_ascii_uppercase());
    Some(Problem::new(
        format!("HOSTLER_{path}"),
        format!("this environment variable is not configuration; did you mean {meant}, which sets {key}?"),
    ))
}
