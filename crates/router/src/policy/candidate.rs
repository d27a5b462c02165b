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
    /// No scheduler of the model can serve the request, and it comes nearest: its refusal says
    /// what could be served.
    MostCapable,
}

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Self; 9] = [
        Self::OnlyOne,
        Self::InTurn,
        Self::Drawn,
        Self::LeastLoaded,
        Self::PrefixMatch,
        Self::Session,
        Self::Overloaded,
        Self::LeastFailing,
        Self::MostCapable,
    ];

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
            Self::MostCapable => "most_capable",
        }
    }
}

/// A scheduler that can serve the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The index in the router's table.
    pub(crate) slot: usize,
    /// A hash of the scheduler's name, the same in every router.
    pub(crate) key: u64,
    /// When it was chosen last, as the number of that choice: the least is next in turn.
    pub(crate) turn: u64,
    /// Tokens that it has to read and generate.
    pub(crate) work_tokens: u64,
    /// Its requests, waiting and running.
    pub(crate) requests: u32,
    /// Most sequences that it runs at once; at least 1.
    pub(crate) batch_size_max: u32,
}

impl Candidate {
    /// Compares `work_tokens / batch_size_max`, exactly.
    pub(crate) fn compare_load(&self, other: &Self) -> Ordering {
        let left = u128::from(self.work_tokens) * u128::from(other.batch_size_max);
        let right = u128::from(other.work_tokens) * u128::from(self.batch_size_max);
        left.cmp(&right)
    }

    /// Orders candidates by load, the least first; equals take turns.
    pub(crate) fn by_load(&self, other: &Self) -> Ordering {
        self.compare_load(other).then_with(|| self.by_turn(other))
    }

    /// Orders candidates by turn, the next first.
    pub(crate) fn by_turn(&self, other: &Self) -> Ordering {
        (self.turn, self.slot).cmp(&(other.turn, other.slot))
    }
}

/// How many blocks of a prompt the scheduler in a slot has read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) slot: usize,
    pub(crate) blocks: u32,
}

/// What a policy depends on in addition to the candidates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolicyInput<'a> {
    /// A random number for this choice.
    pub(crate) random: u64,
    /// A hash of the session's name.
    pub(crate) session: Option<u64>,
    /// The schedulers that have read the prompt's first blocks; few.
    pub(crate) matches: &'a [Match],
}

impl PolicyInput<'_> {
    /// How many blocks of the prompt the scheduler in this slot has read before.
    pub(crate) fn matched_blocks(&self, slot: usize) -> u32 {
        self.matches.iter().find(|one| one.slot == slot).map_or(0, |one| one.blocks)
    }
}

/// Mixes the bits of a number (the last step of SplitMix64): gives the next random number,
/// or the hash of two numbers from their exclusive or.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
