//! The routing policies: which scheduler is chosen among those that can serve a request.
//! Pure.

mod affinity;
mod candidate;
mod prefix;

use std::cmp::Ordering;

use hostler_config::RoutingPolicy;

pub use candidate::Reason;
pub(crate) use candidate::{Candidate, PolicyInput, mix};
pub(crate) use prefix::{PrefixIndex, prompt_blocks};

/// Chooses one of `candidates`, which are in the order of their slots. Returns its index
/// and the reason, or `None` if there are no candidates.
pub(crate) fn choose(policy: RoutingPolicy, candidates: &[Candidate], input: PolicyInput) -> Option<(usize, Reason)> {
    match candidates {
        [] => return None,
        [_] => return Some((0, Reason::OnlyOne)),
        _ => {}
    }
    match policy {
        RoutingPolicy::RoundRobin => by_turn(candidates, input.last).map(|index| (index, Reason::InTurn)),
        RoutingPolicy::LeastLoaded => least_loaded(candidates, input.last),
        RoutingPolicy::Random => Some((draw(input.random, candidates.len()), Reason::Drawn)),
        RoutingPolicy::PowerOfTwo => Some((less_loaded_of_two(candidates, input.random), Reason::LeastLoaded)),
        RoutingPolicy::PrefixAware => match prefix::preferred(candidates) {
            Some(index) if affinity::has_room(candidates, index) => Some((index, Reason::PrefixMatch)),
            Some(_) => least_loaded(candidates, input.last).map(|(index, _)| (index, Reason::Overloaded)),
            None => least_loaded(candidates, input.last),
        },
        RoutingPolicy::Session => match input.session {
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
