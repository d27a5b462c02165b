//! Which scheduler a session is mapped to: consistent hashing with bounded load. Pure.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Candidate, Reason, bounded, mix};

/// The session's first choice that has room. Choices are ranked by a hash of session and
/// scheduler (rendezvous hashing: Thaler and Ravishankar, 1998): when a scheduler leaves,
/// only its own sessions move, and there is no ring to maintain.
pub(super) fn choose(candidates: &[Candidate], session: u64) -> Option<(usize, Reason)> {
    let rank = |index: &usize| Reverse(mix(session ^ candidates[*index].key));
    let first = (0..candidates.len()).min_by_key(rank)?;
    if bounded::has_room(candidates, first) {
        return Some((first, Reason::Session));
    }
    let next = (0..candidates.len()).filter(|&index| bounded::has_room(candidates, index)).min_by_key(rank);
    // There is always one, because not all can be above the average.
    Some((next.unwrap_or(first), Reason::Overloaded))
}

/// A hash of a name, the same in every router, so that gateways agree on a session's
/// scheduler.
pub(crate) fn hash_text(text: &str) -> u64 {
    // `DefaultHasher::new()` has fixed keys.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
