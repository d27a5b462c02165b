//! What the policies compare and return.

use std::cmp::Ordering;

use serde::Serialize;

/// Why a scheduler was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There was no other candidate.
    OnlyOne,
    /// It was its turn.
    InTurn,
    /// It was drawn at random.
    Drawn,
    /// It was the least loaded.
    LeastLoaded,
    /// It has read the prompt's prefix before.
    PrefixMatch,
    /// The session is mapped to it.
    Session,
    /// The scheduler that the prefix or session prefers was overloaded.
    Overloaded,
    /// The circuit breakers of all schedulers are open, and it has failed least lately.
    LeastFailing,
}

impl Reason {
    /// The name in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyOne => "only_one",
            Self::InTurn => "in_turn",
            Self::Drawn => "drawn",
            Self::LeastLoaded => "least_loaded",
            Self::PrefixMatch => "prefix_match",
            Self::Session => "session",
            Self::Overloaded => "overloaded",
            Self::LeastFailing => "least_failing",
        }
    }
}

/// A scheduler that can serve the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The index in the router's table.
    pub(crate) slot: usize,
    /// Unique for each scheduler, also over time: a slot is used again.
    pub(crate) key: u64,
    /// Tokens that it has to read and generate.
    pub(crate) work_tokens: u64,
    /// Its requests, waiting and running.
    pub(crate) requests: u32,
    /// Most sequences that it runs at once; at least 1.
    pub(crate) batch_size_max: u32,
    /// Blocks of the prompt's prefix that it has read before.
    pub(crate) matched_blocks: u32,
}

impl Candidate {
    /// Compares `work_tokens / batch_size_max`, exactly.
    pub(super) fn compare_load(&self, other: &Self) -> Ordering {
        let left = u128::from(self.work_tokens) * u128::from(other.batch_size_max);
        let right = u128::from(other.work_tokens) * u128::from(self.batch_size_max);
        left.cmp(&right)
    }
}

/// What a policy depends on in addition to the candidates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolicyInput {
    /// The slot that was chosen last: the next in turn comes after it.
    pub(crate) last: Option<usize>,
    /// A random number for this choice.
    pub(crate) random: u64,
    /// A hash of the session's name.
    pub(crate) session: Option<u64>,
}

/// Mixes the bits of a number (the last step of SplitMix64): gives the next random number,
/// or the hash of two numbers from their exclusive or.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
