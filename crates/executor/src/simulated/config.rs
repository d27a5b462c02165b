//! The configuration of the simulated engine.

use hostler_protocol::{Batching, Prefill};
use serde::Deserialize;

use super::{CostModel, Faults, ScriptedTurn};

/// The configuration of a simulated engine. The defaults resemble a small model on a
/// small GPU.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedConfig {
    /// Maximum tokens of one sequence, prompt and answer together; 64 or more. Default
    /// 2048.
    pub context_length: u32,
    /// Capacity of the KV cache in tokens; at least `context_length`. A running
    /// sequence reserves its prompt and its `max_tokens`. Default 16384.
    pub kv_capacity_tokens: u64,
    /// Maximum sequences in flight; 1 or more. Default 8.
    pub max_sequences: u32,
    /// Which sequences can share a step: `ragged` (the default) or `equal_length`, as in
    /// mistral.rs.
    pub batching: Batching,
    /// How prompts are processed: `{ chunked = { tokens = 256 } }` (the default) or
    /// `blocking`. `equal_length` requires `blocking`.
    pub prefill: Prefill,
    /// The cost model of a step.
    pub cost: CostModel,
    /// Capacity of the prefix cache in tokens; 0, the default, disables it.
    pub prefix_cache_tokens: u64,
    /// The answer ends after this many tokens. By default an answer ends only by its
    /// `max_tokens`.
    pub eos_after: Option<u32>,
    /// The answers by turn: the first to a conversation without messages of the assistant, and so
    /// on. Other answers are made up. None by default.
    pub script: Vec<ScriptedTurn>,
    /// Simulated faults. None by default.
    pub faults: Faults,
}

/// A value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}; it must be {allowed}")]
pub struct InvalidSetting {
    /// The key, with its table.
    pub key: &'static str,
    /// The rejected value.
    pub value: String,
    /// The allowed values.
    pub allowed: String,
}

/// Longest step: an hour. A longer one is probably a mistake of units.
const STEP_MS_MAX: f64 = 3_600_000.0;

/// Smallest context: room for a short prompt and a few tokens of answer.
const CONTEXT_LENGTH_MIN: u32 = 64;

/// Largest context: the output channel of a sequence has a slot for every token.
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
            script: Vec::new(),
            faults: Faults::default(),
        }
    }
}

impl SimulatedConfig {
    /// An engine whose steps take no time, for measuring everything else.
    #[must_use]
    pub fn echo() -> Self {
        Self { cost: CostModel::FREE, ..Self::default() }
    }

    /// mistral.rs as measured with equal-length batches, f32, two CPU cores, and a model
    /// of 135 million parameters.
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
                "blocking, because batching = equal_length processes each prompt in one step".into()
            }),
            (Batching::Ragged, Prefill::Chunked { tokens }) => {
                check("prefill.chunked.tokens", tokens, tokens > 0, || "1 or more".into())
            }
            (_, Prefill::Blocking) => Ok(()),
        }?;
        let rate = self.cost.prefill_tokens_per_second;
        check("cost.prefill_tokens_per_second", rate, rate > 0.0, || "above 0".into())?;
        for (key, value) in [
            ("cost.decode_step_ms", self.cost.decode_step_ms),
            ("cost.decode_ms_per_sequence", self.cost.decode_ms_per_sequence),
            ("cost.mixed_ms_per_sequence", self.cost.mixed_ms_per_sequence),
        ] {
            check(key, value, (0.0..=STEP_MS_MAX).contains(&value), || format!("between 0 and {STEP_MS_MAX}"))?;
        }
        let every = self.faults.sequence.map_or(1, |fault| fault.every);
        check("faults.sequence.every", every, every > 0, || "1 or more".into())
    }
}

/// Rejects a value, with its key and the allowed values.
fn check(
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
    fn an_error_names_key_value_and_allowed_values() {
        let mut config = SimulatedConfig { kv_capacity_tokens: 100, ..SimulatedConfig::default() };
        let error = config.validate().expect_err("100 tokens do not hold a context of 2048");
        assert_eq!(error.to_string(), "kv_capacity_tokens is 100; it must be at least context_length, 2048");
        config = SimulatedConfig { batching: Batching::EqualLength, ..SimulatedConfig::default() };
        assert_eq!(config.validate().expect_err("chunks and equal lengths do not go together").key, "prefill");
        for wrong in [f64::NAN, -1.0, f64::INFINITY] {
            let cost = CostModel { decode_step_ms: wrong, ..CostModel::default() };
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
    fn known_keys_are_read_and_unknown_keys_are_errors() {
        let text = r#"{"prefill": "blocking", "batching": "equal_length", "cost": {"decode_step_ms": 5},
            "faults": {"sequence": {"kind": "hang", "after_tokens": 3, "every": 10}}}"#;
        let config: SimulatedConfig = serde_json::from_str(text).expect("every key is known");
        assert_eq!((config.prefill, config.cost.decode_step_ms), (Prefill::Blocking, 5.0));
        assert_eq!(config.cost.decode_ms_per_sequence, CostModel::default().decode_ms_per_sequence);
        assert!(serde_json::from_str::<SimulatedConfig>(r#"{"cost": {"decode_ms": 5}}"#).is_err());
    }
}
