//! The routing policies: which scheduler is chosen among those that can serve a request.
//! Pure.

mod affinity;
mod candidate;
mod prefix;
mod tournament;

use hostler_config::RoutingPolicy;

pub(crate) use affinity::{Total, rank};
pub use candidate::Reason;
pub(crate) use candidate::{Candidate, Match, PolicyInput, mix};
pub(crate) use prefix::{Cache, Preference, PrefixIndex, prompt_blocks};
pub(crate) use tournament::Tournament;

/// Chooses one of `candidates`. Returns its index and the reason, or `None` if there are no
/// candidates.
pub(crate) fn choose(
    policy: RoutingPolicy,
    candidates: &[Candidate],
    input: &PolicyInput<'_>,
) -> Option<(usize, Reason)> {
    match candidates {
        [] => return None,
        [_] => return Some((0, Reason::OnlyOne)),
        _ => {}
    }
    match policy {
        RoutingPolicy::RoundRobin => next_in_turn(candidates),
        RoutingPolicy::LeastLoaded => least_loaded(candidates, Reason::LeastLoaded),
        RoutingPolicy::Random => Some((draw(input.random, candidates.len()), Reason::Drawn)),
        RoutingPolicy::PowerOfTwo => Some((less_loaded_of_two(candidates, input.random), Reason::LeastLoaded)),
        RoutingPolicy::PrefixAware => {
            let matched = candidates.iter().map(|candidate| input.matched_blocks(candidate.slot));
            let matching =
                candidates.iter().zip(matched).enumerate().map(|(index, (one, blocks))| (index, one, blocks));
            match Preference::among(matching, &Total::of(candidates)) {
                Preference::Preferred(index) => Some((index, Reason::PrefixMatch)),
                Preference::Overloaded => least_loaded(candidates, Reason::Overloaded),
                Preference::None => least_loaded(candidates, Reason::LeastLoaded),
            }
        }
        RoutingPolicy::Session => match input.session {
            Some(session) => affinity::choose_for_session(candidates, session),
            None => least_loaded(candidates, Reason::LeastLoaded),
        },
    }
}

fn next_in_turn(candidates: &[Candidate]) -> Option<(usize, Reason)> {
    let next = candidates.iter().enumerate().min_by(|(_, left), (_, right)| left.by_turn(right));
    next.map(|(index, _)| (index, Reason::InTurn))
}

fn least_loaded(candidates: &[Candidate], reason: Reason) -> Option<(usize, Reason)> {
    let best = candidates.iter().enumerate().min_by(|(_, left), (_, right)| left.by_load(right));
    best.map(|(index, _)| (index, reason))
}

/// Mitzenmacher's "power of two choices": nearly as even as comparing all candidates, and
/// without the thundering herd towards the scheduler that all routers believe to be idle.
fn less_loaded_of_two(candidates: &[Candidate], random: u64) -> usize {
    let (first, second) = draw_two(random, candidates.len());
    if candidates[first].compare_load(&candidates[second]).is_gt() { second } else { first }
}

/// Two different numbers below `count`, which is at least 2.
pub(crate) fn draw_two(random: u64, count: usize) -> (usize, usize) {
    let first = draw(random, count);
    (first, (first + 1 + draw(mix(random), count - 1)) % count)
}

/// A number below `count`, all of about the same probability.
pub(crate) fn draw(random: u64, count: usize) -> usize {
    let count = count as u128;
    usize::try_from((u128::from(random) * count) >> 64).unwrap_or(0)
}

#[cfg(test)]
#[path = "policy/tests.rs"]
mod tests;
