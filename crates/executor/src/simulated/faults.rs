//! What can be made to go wrong.

use std::time::Duration;

use serde::Deserialize;

use super::InvalidSetting;
use super::config::check;

/// Faults that the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Loading takes this much longer, in ms. Default 0.
    pub slow_start_ms: u64,
    /// What happens to the engine, once in each of its lives.
    pub engine: Option<Fault>,
    /// What happens to some of its sequences.
    pub sequence: Option<SequenceFault>,
}

/// A fault of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Once the engine has generated so many tokens, all sequences together.
    pub after_tokens: u64,
}

/// A fault of single sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceFault {
    /// What happens. A `panic` takes the whole engine with it; `fail` and `hang`
    /// harm the sequence alone.
    pub kind: FaultKind,
    /// Once the sequence has so many tokens.
    pub after_tokens: u32,
    /// To every so-many-th sequence that the engine is given; 1, the default, is all.
    #[serde(default = "every_one")]
    pub every: u32,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It ends with an error; an engine is dead after it.
    Fail,
    /// The engine's thread panics.
    Panic,
    /// Nothing happens any more, and nobody is told.
    Hang,
}

const fn every_one() -> u32 {
    1
}

impl Faults {
    pub(super) fn validate(&self) -> Result<(), InvalidSetting> {
        let every = self.sequence.map_or(1, |fault| fault.every);
        check("faults.sequence.every", every, every > 0, || "1 or more".into())
    }

    pub(super) fn slow_start(&self) -> Duration {
        Duration::from_millis(self.slow_start_ms)
    }

    /// The fault of the `ordinal`-th sequence, counted from 1.
    pub(super) fn of_sequence(&self, ordinal: u64) -> Option<SequenceFault> {
        self.sequence.filter(|fault| ordinal.is_multiple_of(u64::from(fault.every)))
    }
}
