//! Affinity without a hot spot: how much load a scheduler may have that a prefix or a session
//! prefers, and which one a session prefers. Pure.

use std::cmp::Reverse;

use super::candidate::{Candidate, Reason, mix};

/// Most load of a preferred scheduler, in percent of the average. 120 to 130 costs little
/// affinity and little evenness (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing
/// with bounded loads", 2016).
const LOAD_PERCENT_MAX: u128 = 125;

/// Whether `candidates[index]` may be preferred: a request would run there at once, or its
/// work is little above the average, in relation to the batch sizes.
pub(super) fn has_room(candidates: &[Candidate], index: usize) -> bool {
    let candidate = &candidates[index];
    if candidate.requests < candidate.batch_size_max {
        return true;
    }
    let work: u128 = candidates.iter().map(|candidate| u128::from(candidate.work_tokens)).sum();
    let batch_sizes: u128 = candidates.iter().map(|candidate| u128::from(candidate.batch_size_max)).sum();
    let own = u128::from(candidate.work_tokens) * batch_sizes * 100;
    own <= work * u128::from(candidate.batch_size_max) * LOAD_PERCENT_MAX
}

/// The session's first choice that has room. Choices are ranked by a hash of session and
/// scheduler (rendezvous hashing: Thaler and Ravishankar, 1998): when a scheduler leaves,
/// only its own sessions move, and there is no ring to maintain.
pub(super) fn choose_for_session(candidates: &[Candidate], session: u64) -> Option<(usize, Reason)> {
    let rank = |index: &usize| Reverse(mix(session ^ candidates[*index].key));
    let first = (0..candidates.len()).min_by_key(rank)?;
    if has_room(candidates, first) {
        return Some((first, Reason::Session));
    }
    let next = (0..candidates.len()).filter(|&index| has_room(candidates, index)).min_by_key(rank);
    // There is always one, because not all can be above the average.
    Some((next.unwrap_or(first), Reason::Overloaded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(slot: usize, work_tokens: u64, requests: u32) -> Candidate {
        Candidate { slot, key: slot as u64, work_tokens, requests, batch_size_max: 4, matched_blocks: 0 }
    }

    #[test]
    fn a_free_place_in_the_batch_is_room_whatever_the_average() {
        assert!(has_room(&[candidate(0, 900, 3), candidate(1, 0, 0)], 0));
    }

    #[test]
    fn with_a_queue_there_is_room_up_to_a_quarter_above_the_average() {
        let others = |work| [candidate(0, work, 9), candidate(1, 75, 9)];
        assert!(has_room(&others(125), 0), "125 is 1.25 times the average of 100");
        assert!(!has_room(&others(126), 0));
    }
}
