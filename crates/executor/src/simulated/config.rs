//! The simulated engine's configuration, and the cost model that it states.

use std::time::Duration;

use hostler_protocol::{Batching, Prefill};
use serde::Deserialize;

use super::Faults;

/// What the engine can do, and what it costs. The defaults are a small model on
/// a small GPU.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedConfig {
    /// Most tokens of one sequence, prompt and answer together; 64 or more. Default 2048.
    pub context_length: u32,
    /// Most tokens of all running sequences together; at least `context_length`.
    /// A sequence takes its prompt and all that it may generate. Default 16384.
    pub kv_capacity_tokens: u64,
    /// Most sequences in flight; 1 or more. Default 8.
    pub max_sequences: u32,
    /// Which sequences share a step: `ragged` (the default) or `equal_length`,
    /// which is what mistral.rs does.
    pub batching: Batching,
    /// How prompts are read: `{ chunked = { tokens = 256 } }` (the default) or
    /// `blocking`. An equal-length engine reads them `blocking`.
    pub prefill: Prefill,
    /// What steps cost.
    pub cost: CostModel,
    /// Tokens of finished sequences that are kept, so that a prompt that begins
    /// like one of them is not read again; 0, the default, keeps none.
    pub prefix_cache_tokens: u64,
    /// The model ends its answers after so many tokens. By default it never ends
    /// one, and answers run to their `max_tokens`.
    pub eos_after: Option<u32>,
    /// What goes wrong. By default nothing.
    pub faults: Faults,
}

/// What steps cost. A step in which `d` sequences decode and `p` prompt tokens
/// are read takes, each term only where its sequences are there,
///
/// `decode_step_ms + d · decode_ms_per_sequence + p / prefill_tokens_per_second`,
///
/// and on an equal-length engine `d · mixed_ms_per_sequence` more where the
/// prompts of those that decode had unlike lengths.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CostModel {
    /// Prompt tokens read in a second; above 0, `inf` costs nothing. Default 4000.
    pub prefill_tokens_per_second: f64,
    /// What a decode step costs whatever it does, in ms; 0 or more. Default 8.
    pub decode_step_ms: f64,
    /// What each sequence in it adds, in ms; 0 or more. Default 0.5.
    pub decode_ms_per_sequence: f64,
    /// See above; 0 or more. Default 0.
    pub mixed_ms_per_sequence: f64,
}

/// A setting with a value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}; it must be {allowed}")]
pub struct InvalidSetting {
    /// The key, with its table.
    pub key: &'static str,
    /// The value that it has.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

/// Longest that one step may take: an hour. More is a slip of the units.
const STEP_MS_MAX: f64 = 3_600_000.0;

/// Smallest context: prompts of tests and a few tokens of answer fit.
const CONTEXT_LENGTH_MIN: u32 = 64;

/// Largest context: a sequence's output channel has a slot for every token.
const CONTEXT_LENGTH_MAX: u32 = 1 << 24;

impl Default for SimulatedConfig {
    fn default() -> Self {
        Self {
            context_length: 2048,
            kv_capacity_tokens: 16_384,
            max_sequences: 8,
            batching: Batching::Ragged,
            prefill: Prefill::Chunked { tokens: 256 },
            cost: CostModel::default(),
            prefix_cache_tokens: 0,
            eos_after: None,
            faults: Faults::default(),
        }
    }
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

impl SimulatedConfig {
    /// An engine that costs no time: what is measured with it is everything else.
    #[must_use]
    pub fn echo() -> Self {
        Self { cost: CostModel::FREE, ..Self::default() }
    }

    /// mistral.rs as it was measured: equal-length batches, f32, two cores of a
    /// CPU, a model of 135 million parameters.
    #[must_use]
    pub fn mistralrs_f32() -> Self {
        Self {
            batching: Batching::EqualLength,
            prefill: Prefill::Blocking,
            cost: CostModel::MISTRALRS_F32,
            ..Self::default()
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// The first that is not allowed.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let context = CONTEXT_LENGTH_MIN..=CONTEXT_LENGTH_MAX;
        check("context_length", self.context_length, context.contains(&self.context_length), || {
            format!("between {CONTEXT_LENGTH_MIN} and {CONTEXT_LENGTH_MAX}")
        })?;
        let holds_one = self.kv_capacity_tokens >= u64::from(self.context_length);
        check("kv_capacity_tokens", self.kv_capacity_tokens, holds_one, || {
            format!("at least context_length, {}", self.context_length)
        })?;
        check("max_sequences", self.max_sequences, self.max_sequences > 0, || "1 or more".into())?;
        match (self.batching, self.prefill) {
            (Batching::EqualLength, Prefill::Chunked { .. }) => check("prefill", "chunked", false, || {
                "blocking, since an engine with batching = equal_length reads prompts whole".into()
            }),
            (Batching::Ragged, Prefill::Chunked { tokens }) => {
                check("prefill.chunked.tokens", tokens, tokens > 0, || "1 or more".into())
            }
            (_, Prefill::Blocking) => Ok(()),
        }?;
        self.cost.validate()?;
        self.faults.validate()
    }
}

impl CostModel {
    /// Nothing costs anything.
    pub const FREE: Self = Self {
        prefill_tokens_per_second: f64::INFINITY,
        decode_step_ms: 0.0,
        decode_ms_per_sequence: 0.0,
        mixed_ms_per_sequence: 0.0,
    };

    /// mistral.rs 0.8.1 with its batched decode corrected, SmolLM2-135M in f32 on
    /// two x86 cores. The first three are measured (34 tokens/s alone, 103 by
    /// eights, 427 prompt tokens/s); the last is fitted, so that batches in which
    /// prompts of unlike length meet are as slow as they were.
    pub const MISTRALRS_F32: Self = Self {
        prefill_tokens_per_second: 427.0,
        decode_step_ms: 23.0,
        decode_ms_per_sequence: 6.4,
        mixed_ms_per_sequence: 4.5,
    };

    fn validate(&self) -> Result<(), InvalidSetting> {
        let rate = self.prefill_tokens_per_second;
        check("cost.prefill_tokens_per_second", rate, rate > 0.0, || "above 0".into())?;
        for (key, value) in [
            ("cost.decode_step_ms", self.decode_step_ms),
            ("cost.decode_ms_per_sequence", self.decode_ms_per_sequence),
            ("cost.mixed_ms_per_sequence", self.mixed_ms_per_sequence),
        ] {
            check(key, value, (0.0..=STEP_MS_MAX).contains(&value), || format!("between 0 and {STEP_MS_MAX}"))?;
        }
        Ok(())
    }

    /// Time to read so many prompt tokens.
    pub(super) fn prefill(&self, tokens: u32) -> Duration {
        seconds(f64::from(tokens) / self.prefill_tokens_per_second)
    }

    /// Time of the decode part of a step; nothing where no sequence decodes.
    pub(super) fn decode(&self, sequences: u32, mixed: bool) -> Duration {
        if sequences == 0 {
            return Duration::ZERO;
        }
        let mixed_ms = if mixed { self.mixed_ms_per_sequence } else { 0.0 };
        let each_ms = self.decode_ms_per_sequence + mixed_ms;
        seconds((self.decode_step_ms + f64::from(sequences) * each_ms) / 1e3)
    }
}

/// A time that a cost model gave; one beyond all bounds is the longest there is.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Refuses a value, naming its key and what is allowed.
pub(super) fn check(
    key: &'static str,
    value: impl Copy + ToString,
    is_allowed: bool,
    allowed: impl FnOnce() -> String,
) -> Result<(), InvalidSetting> {
    if is_allowed { Ok(()) } else { Err(InvalidSetting { key, value: value.to_string(), allowed: allowed() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_key_value_and_what_is_allowed() {
        let mut config = SimulatedConfig { kv_capacity_tokens: 100, ..SimulatedConfig::default() };
        let error = config.validate().expect_err("100 tokens do not hold a context of 2048");
        assert_eq!(error.to_string(), "kv_capacity_tokens is 100; it must be at least context_length, 2048");
        config = SimulatedConfig { batching: Batching::EqualLength, ..SimulatedConfig::default() };
        assert_eq!(config.validate().expect_err("chunks and equal lengths do not go together").key, "prefill");
        for spoil in [f64::NAN, -1.0, f64::INFINITY] {
            let cost = CostModel { decode_step_ms: spoil, ..CostModel::default() };
            config = SimulatedConfig { cost, ..SimulatedConfig::default() };
            assert_eq!(config.validate().expect_err("not a time").key, "cost.decode_step_ms");
        }
    }

    #[test]
    fn presets_are_valid() {
        for config in [SimulatedConfig::default(), SimulatedConfig::echo(), SimulatedConfig::mistralrs_f32()] {
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn it_reads_what_is_written_and_refuses_what_is_unknown() {
        let text = r#"{"prefill": "blocking", "batching": "equal_length", "cost": {"decode_step_ms": 5},
            "faults": {"sequence": {"kind": "hang", "after_tokens": 3, "every": 10}}}"#;
        let config: SimulatedConfig = serde_json::from_str(text).expect("every key is known");
        assert_eq!((config.prefill, config.cost.decode_step_ms), (Prefill::Blocking, 5.0));
        assert_eq!(config.cost.decode_ms_per_sequence, CostModel::default().decode_ms_per_sequence);
        assert!(serde_json::from_str::<SimulatedConfig>(r#"{"cost": {"decode_ms": 5}}"#).is_err());
    }

    #[test]
    fn free_costs_nothing() {
        assert_eq!(CostModel::FREE.prefill(1_000), Duration::ZERO);
        assert_eq!(CostModel::FREE.decode(8, true), Duration::ZERO);
        assert_eq!(CostModel::default().decode(2, false), Duration::from_millis(9));
    }
}
