//! Traces: recorded requests of a real service, in the public format of
//! Mooncake (R. Qin et al., "Mooncake: Trading More Storage for Less Computation",
//! FAST 2025): one JSON object a line, with `timestamp` (milliseconds from the
//! start), `input_length`, `output_length` (tokens) and `hash_ids` (one for
//! each block of 512 tokens of the prompt: equal ids are equal text).

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::words::{self, sha256};

/// Tokens of the block that each of `hash_ids` identifies.
const BLOCK_TOKENS: u32 = 512;

/// Longest prompt or answer, in tokens, as in [`super::Length`].
const LENGTH_MAX: u32 = 4_000_000;

/// One request of a trace. Unknown fields of a line are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceRow {
    /// Arrival time in milliseconds from the start.
    pub timestamp: f64,
    /// Tokens of the prompt.
    pub input_length: u32,
    /// Tokens of the answer.
    pub output_length: u32,
    /// The text of each block of the prompt: equal ids are equal text. The rest of the
    /// prompt is random.
    #[serde(default)]
    pub hash_ids: Vec<u64>,
}

/// The requests of a trace, by arrival time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The file, or another description of the source.
    pub source: String,
    /// SHA-256 of the source, in hexadecimal: results do not contain the rows.
    pub sha256: String,
    /// The requests.
    #[serde(skip)]
    pub rows: Arc<[TraceRow]>,
}

impl Trace {
    /// Parses the trace in `text`.
    ///
    /// # Errors
    /// Names the first invalid line and the cause.
    pub fn read(source: &str, text: &str) -> Result<Self, String> {
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row = serde_json::from_str(line).map_err(|error| error.to_string()).and_then(checked);
            rows.push(row.map_err(|error| format!("line {}: {error}", index + 1))?);
        }
        Self::from_rows(source.to_owned(), sha256(text), rows)
    }

    /// A trace of these rows.
    ///
    /// # Errors
    /// Names the first invalid row and the cause.
    pub fn from_rows(source: String, sha256: String, mut rows: Vec<TraceRow>) -> Result<Self, String> {
        for (index, row) in rows.iter().enumerate() {
            checked(row.clone()).map_err(|error| format!("row {index}: {error}"))?;
        }
        if rows.is_empty() {
            return Err("it contains no requests".to_owned());
        }
        rows.sort_by(|one, other| one.timestamp.total_cmp(&other.timestamp));
        Ok(Self { source, sha256, rows: rows.into() })
    }

    /// When each request is due, at `speed` times the recorded rate.
    #[must_use]
    pub fn times(&self, speed: f64) -> Vec<Duration> {
        let first = self.rows.first().map_or(0.0, |row| row.timestamp);
        let seconds = self.rows.iter().map(|row| (row.timestamp - first) / 1e3 / speed);
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)).collect()
    }

    pub(super) fn row(&self, index: u64) -> Option<&TraceRow> {
        let place = index % u64::try_from(self.rows.len()).ok().filter(|&rows| rows > 0)?;
        self.rows.get(usize::try_from(place).ok()?)
    }

    pub(super) fn answer_tokens_max(&self) -> u32 {
        self.rows.iter().map(|row| row.output_length).max().unwrap_or(1)
    }

    /// The prompt of a row: the text of each block, then random words.
    pub(super) fn prompt(&self, index: u64, seed: u64, random: &mut ChaCha8Rng) -> String {
        let Some(row) = self.row(index) else { return String::new() };
        let mut remaining = row.input_length;
        let mut parts = Vec::with_capacity(row.hash_ids.len() + 1);
        for &hash in &row.hash_ids {
            let tokens = remaining.min(BLOCK_TOKENS);
            if tokens == 0 {
                break;
            }
            let mut block = ChaCha8Rng::seed_from_u64(seed);
            block.set_stream(hash);
            // A truncated block is a prefix of the whole one.
            parts.push(words::text(tokens, &mut block));
            remaining -= tokens;
        }
        if remaining > 0 {
            parts.push(words::text(remaining, random));
        }
        parts.join(" ")
    }
}

fn checked(row: TraceRow) -> Result<TraceRow, String> {
    if !row.timestamp.is_finite() || row.timestamp < 0.0 {
        return Err(format!("timestamp is {}; it must be 0 or more", row.timestamp));
    }
    for (name, length) in [("input_length", row.input_length), ("output_length", row.output_length)] {
        if !(1..=LENGTH_MAX).contains(&length) {
            return Err(format!("{name} is {length}; it must be 1 to {LENGTH_MAX}"));
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
{"timestamp": 3000, "input_length": 600, "output_length": 7, "hash_ids": [46, 48]}
{"timestamp": 1000, "input_length": 700, "output_length": 9, "hash_ids": [46, 47], "model": "x"}
{"timestamp": 1500, "input_length": 5, "output_length": 1}
"#;

    fn prompt(trace: &Trace, index: u64) -> Vec<String> {
        let mut random = ChaCha8Rng::seed_from_u64(index);
        trace.prompt(index, 1, &mut random).split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn rows_are_sorted_by_time() {
        let trace = Trace::read("t", TEXT).expect("a valid trace");
        let seconds: Vec<f64> = trace.times(2.0).iter().map(Duration::as_secs_f64).collect();
        assert_eq!(seconds, [0.0, 0.25, 1.0]);
        assert_eq!(trace.answer_tokens_max(), 9);
    }

    #[test]
    fn equal_hashes_are_equal_text_and_lengths_are_kept() {
        let trace = Trace::read("t", TEXT).expect("a valid trace");
        let (first, short, last) = (prompt(&trace, 0), prompt(&trace, 1), prompt(&trace, 2));
        assert_eq!((first.len(), short.len(), last.len()), (700, 5, 600));
        assert_eq!(first[..512], last[..512]);
        assert_ne!(first[512..600], last[512..]);
    }

    #[test]
    fn an_invalid_line_is_named() {
        let error = |text| Trace::read("t", text).expect_err("an invalid trace");
        assert!(error("{\"timestamp\": 1}").starts_with("line 1: "));
        let zero = "{\"timestamp\": 1, \"input_length\": 0, \"output_length\": 1}";
        assert!(error(zero).contains("input_length is 0"), "{}", error(zero));
        assert!(error("\n").contains("no requests"));
    }
}
