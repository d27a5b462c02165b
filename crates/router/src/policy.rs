//! The routing policies: which scheduler is chosen among those that can serve a request.
//! Pure.

mod affinity;
mod candidate;
mod prefix;

use std::cmp::Ordering;

use serde::Serialize;

pub use candidate::Reason;
pub(crate) use candidate::{Candidate, PolicyInput, mix};
pub(crate) use prefix::{PrefixIndex, prompt_blocks};

/// A routing policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The scheduler with the least outstanding token work in relation to its batch size.
    #[default]
    LeastLoaded,
    /// Each scheduler in turn.
    RoundRobin,
    /// A random scheduler.
    Random,
    /// The less loaded of two random schedulers.
    PowerOfTwo,
    /// The scheduler that has recently read the longest prefix of this prompt, unless it is
    /// overloaded; else the least loaded.
    PrefixAware,
    /// The scheduler of the request's session, by consistent hashing, unless it is
    /// overloaded; then the session's next one. Without a session, the least loaded.
    Session,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 6] =
        [Self::LeastLoaded, Self::RoundRobin, Self::Random, Self::PowerOfTwo, Self::PrefixAware, Self::Session];

    /// The name in the configuration and in metric labels.
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

/// Chooses one of `candidates`, which are in the order of their slots. Returns its index
/// and the reason, or `None` if there are no candidates.
pub(crate) fn choose(policy: Policy, candidates: &[Candidate], input: PolicyInput) -> Option<(usize, Reason)> {
    match candidates {
        [] => return None,
        [_] => return Some((0, Reason::OnlyOne)),
        _ => {}
    }
    match policy {
        Policy::RoundRobin => by_turn(candidates, input.last).map(|index| (index, Reason::InTurn)),
        Policy::LeastLoaded => least_loaded(candidates, input.last),
        Policy::Random => Some((draw(input.random, candidates.len()), Reason::Drawn)),
        Policy::PowerOfTwo => Some((less_loaded_of_two(candidates, input.random), Reason::LeastLoaded)),
        Policy::PrefixAware => match prefix::preferred(candidates) {
            Some(index) if affinity::has_room(candidates, index) => Some((index, Reason::PrefixMatch)),
            Some(_) => least_loaded(candidates, input.last).map(|(index, _)| (index, Reason::Overloaded)),
            None => least_loaded(candidates, input.last),
        },
        Policy::Session => match input.session {
            Some(session) => affinity::choose_for_session(candidates, session),
            None => least_loaded(candidates, input.last),
        },
    }
}

/// A sort key: candidates after the last choice come before those up to it, each by slot.
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

/// Mitzenmacher's "power of two choices": nearly as even as comparing all candidates, and
/// without the thundering herd towards the scheduler that all routers believe to be idle.
fn less_loaded_of_two(candidates: &[Candidate], random: u64) -> usize {
    let first = draw(random, candidates.len());
    let second = (first + 1 + draw(mix(random), candidates.len() - 1)) % candidates.len();
    match candidates[first].compare_load(&candidates[second]) {
        Ordering::Greater => second,
        Ordering::Less | Ordering::Equal => first,
    }
}

/// A number below `count`, all of about the same probability.
fn draw(random: u64, count: usize) -> usize {
    let count = count as u128;
    usize::try_from((u128::from(random) * count) >> 64).unwrap_or(0)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
