//! The cost model: how long a step takes.

use std::time::Duration;

use serde::Deserialize;

/// The cost of a step. A step in which `d` sequences decode and `p` prompt tokens are
/// processed takes
///
/// `decode_step_ms + d · decode_ms_per_sequence + p / prefill_tokens_per_second`,
///
/// where the decode terms count only if `d` is above 0. On an equal-length engine, a
/// step takes `d · mixed_ms_per_sequence` more if the decoding sequences have prompts of
/// different lengths.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CostModel {
    /// Prompt tokens processed per second; above 0, `inf` takes no time. Default 4000.
    pub prefill_tokens_per_second: f64,
    /// Fixed cost of a decode step in ms; 0 or more. Default 8.
    pub decode_step_ms: f64,
    /// Cost of each sequence in a decode step in ms; 0 or more. Default 0.5.
    pub decode_ms_per_sequence: f64,
    /// Additional cost of each sequence in a mixed step in ms; 0 or more. Default 0.
    pub mixed_ms_per_sequence: f64,
}

impl Default for CostModel {
    fn default() -> Self {
        Self {
            prefill_tokens_per_second: 4000.0,
            decode_step_ms: 8.0,
            decode_ms_per_sequence: 0.5,
            mixed_ms_per_sequence: 0.0,
        }
    }
}

impl CostModel {
    /// Steps take no time.
    pub const FREE: Self = Self {
        prefill_tokens_per_second: f64::INFINITY,
        decode_step_ms: 0.0,
        decode_ms_per_sequence: 0.0,
        mixed_ms_per_sequence: 0.0,
    };

    /// mistral.rs 0.8.1 with its batched decode corrected, SmolLM2-135M in f32 on two
    /// x86 cores. The first three numbers are measured (34 tokens/s for one sequence,
    /// 103 for eight, 427 prompt tokens/s); the last is fitted to the measured rate of
    /// batches with prompts of different lengths.
    pub const MISTRALRS_F32: Self = Self {
        prefill_tokens_per_second: 427.0,
        decode_step_ms: 23.0,
        decode_ms_per_sequence: 6.4,
        mixed_ms_per_sequence: 4.5,
    };

    /// Time of the prefill of `tokens` prompt tokens.
    pub(super) fn prefill(&self, tokens: u32) -> Duration {
        seconds(f64::from(tokens) / self.prefill_tokens_per_second)
    }

    /// Time of the decode part of a step; zero if no sequence decodes.
    pub(super) fn decode(&self, sequences: u32, mixed: bool) -> Duration {
        if sequences == 0 {
            return Duration::ZERO;
        }
        let mixed_ms = if mixed { self.mixed_ms_per_sequence } else { 0.0 };
        let each_ms = self.decode_ms_per_sequence + mixed_ms;
        seconds((self.decode_step_ms + f64::from(sequences) * each_ms) / 1e3)
    }
}

/// Converts to a duration; a value that is out of range becomes the longest one.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up() {
        assert_eq!(CostModel::FREE.prefill(1_000), Duration::ZERO);
        assert_eq!(CostModel::FREE.decode(8, true), Duration::ZERO);
        assert_eq!(CostModel::default().decode(2, false), Duration::from_millis(9));
    }
}
