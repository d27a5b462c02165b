//! How one scheduler is chosen among those that can serve a request. Pure.

mod bounded;
mod prefix;
mod session;

use std::cmp::Ordering;

use serde::Serialize;

pub(crate) use prefix::{PrefixIndex, prompt_blocks};
pub(crate) use session::hash_text;

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The one with the least token work to do, in relation to its batch size.
    #[default]
    LeastLoaded,
    /// Each in turn.
    RoundRobin,
    /// Any.
    Random,
    /// Of two drawn at random, the one that is less loaded.
    PowerOfTwo,
    /// The one that has lately read the longest beginning of this prompt, unless it
    /// is overloaded; else the least loaded.
    PrefixAware,
    /// The one that the request's session belongs to, by consistent hashing, unless
    /// it is overloaded: then the session's next. Without a session, the least loaded.
    Session,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 6] =
        [Self::LeastLoaded, Self::RoundRobin, Self::Random, Self::PowerOfTwo, Self::PrefixAware, Self::Session];

    /// As the configuration and metric labels spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::PowerOfTwo => "power_of_two",
            Self::PrefixAware => "prefix_aware",
            Self::Session => "session",
        }
    }
}

/// Why one was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There was no other.
    OnlyOne,
    /// It was its turn.
    InTurn,
    /// It was drawn.
    Drawn,
    /// It was the least loaded.
    LeastLoaded,
    /// It has read the beginning of the prompt before.
    PrefixMatch,
    /// The session belongs to it.
    Session,
    /// The one that the prompt or session belongs to was overloaded.
    Overloaded,
}

impl Reason {
    /// As metric labels spell it.
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
        }
    }
}

/// A scheduler that can serve the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the router's table.
    pub(crate) slot: usize,
    /// Tells it from all others, also from those that had its place before.
    pub(crate) key: u64,
    /// Tokens that it has still to read and generate.
    pub(crate) work_tokens: u64,
    /// Requests that it has, waiting and running.
    pub(crate) requests: u32,
    /// Most sequences that it runs at once; at least 1.
    pub(crate) batch_size_max: u32,
    /// Blocks at the beginning of the prompt that it has read before.
    pub(crate) matched_blocks: u32,
}

impl Candidate {
    /// Compares `work_tokens / batch_size_max`, exactly.
    fn compare_load(&self, other: &Self) -> Ordering {
        let left = u128::from(self.work_tokens) * u128::from(other.batch_size_max);
        let right = u128::from(other.work_tokens) * u128::from(self.batch_size_max);
        left.cmp(&right)
    }
}

/// What a choice depends on beside the candidates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// The slot that was chosen before: the next in turn comes after it.
    pub(crate) last: Option<usize>,
    /// Drawn for this choice.
    pub(crate) random: u64,
    /// A hash of the request's session.
    pub(crate) session: Option<u64>,
}

/// The index in `candidates` (in the order of their slots) of the one to take, and
/// why; `None` where there is none.
pub(crate) fn choose(policy: Policy, candidates: &[Candidate], given: Circumstances) -> Option<(usize, Reason)> {
    match candidates {
        [] => return None,
        [_] => return Some((0, Reason::OnlyOne)),
        _ => {}
    }
    match policy {
        Policy::RoundRobin => by_turn(candidates, given.last).map(|index| (index, Reason::InTurn)),
        Policy::LeastLoaded => least_loaded(candidates, given.last),
        Policy::Random => Some((draw(given.random, candidates.len()), Reason::Drawn)),
        Policy::PowerOfTwo => Some((less_loaded_of_two(candidates, given.random), Reason::LeastLoaded)),
        Policy::PrefixAware => match prefix::preferred(candidates) {
            Some(index) if bounded::has_room(candidates, index) => Some((index, Reason::PrefixMatch)),
            Some(_) => least_loaded(candidates, given.last).map(|(index, _)| (index, Reason::Overloaded)),
            None => least_loaded(candidates, given.last),
        },
        Policy::Session => match given.session {
            Some(session) => session::choose(candidates, session),
            None => least_loaded(candidates, given.last),
        },
    }
}

/// Sorts those after the last choice before those up to it, each by slot.
fn turn(candidate: &Candidate, last: Option<usize>) -> (bool, usize) {
    (last.is_some_and(|last| candidate.slot <= last), candidate.slot)
}

fn by_turn(candidates: &[Candidate], last: Option<usize>) -> Option<usize> {
    (0..candidates.len()).min_by_key(|&index| turn(&candidates[index], last))
}

fn least_loaded(candidates: &[Candidate], last: Option<usize>) -> Option<(usize, Reason)> {
    let best = candidates.iter().enumerate().min_by(|(_, left), (_, right)| {
        left.compare_load(right).then_with(|| turn(left, last).cmp(&turn(right, last)))
    });
    best.map(|(index, _)| (index, Reason::LeastLoaded))
}

/// Mitzenmacher's "power of two choices": nearly as even as looking at all of them,
/// and without the herd that runs to the one that all believe to be idle.
fn less_loaded_of_two(candidates: &[Candidate], random: u64) -> usize {
    let first = draw(random, candidates.len());
    let second = (first + 1 + draw(mix(random), candidates.len() - 1)) % candidates.len();
    match candidates[first].compare_load(&candidates[second]) {
        Ordering::Greater => second,
        Ordering::Less | Ordering::Equal => first,
    }
}

/// A number below `count`, all about equally likely.
fn draw(random: u64, count: usize) -> usize {
    let count = count as u128;
    usize::try_from((u128::from(random) * count) >> 64).unwrap_or(0)
}

/// Spreads the bits of a number (the last step of SplitMix64): a fresh random number
/// from another, or a hash of two from their exclusive or.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
