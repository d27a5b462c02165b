//! Configurable faults.

use std::time::Duration;

use serde::Deserialize;

/// The faults to simulate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Additional loading time in ms. Default 0.
    pub slow_start_ms: u64,
    /// A fault of the whole engine, once after each load.
    pub engine: Option<Fault>,
    /// A fault of some sequences.
    pub sequence: Option<SequenceFault>,
}

/// A fault of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// Number of tokens, of all sequences together, after which the fault occurs.
    pub after_tokens: u64,
}

/// A fault of individual sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceFault {
    /// What happens. `panic` ends the whole engine; `fail` and `hang` affect the
    /// sequence only.
    pub kind: FaultKind,
    /// Number of tokens of the sequence after which the fault occurs.
    pub after_tokens: u32,
    /// The fault affects every n-th sequence; 1, the default, is all of them.
    #[serde(default = "every_one")]
    pub every: u32,
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The engine or the sequence ends with an error.
    Fail,
    /// The engine's thread panics.
    Panic,
    /// The engine or the sequence makes no progress and reports nothing.
    Hang,
}

const fn every_one() -> u32 {
    1
}

impl Faults {
    pub(super) fn slow_start(&self) -> Duration {
        Duration::from_millis(self.slow_start_ms)
    }

    /// The fault of the `ordinal`-th sequence (from 1).
    pub(super) fn of_sequence(&self, ordinal: u64) -> Option<SequenceFault> {
        self.sequence.filter(|fault| ordinal.is_multiple_of(u64::from(fault.every)))
    }
}
