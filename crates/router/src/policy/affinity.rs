//! Affinity without a hot spot: how much load a scheduler may have that a prefix or a session
//! prefers, and which one a session prefers. Pure.

use std::cmp::Reverse;

use super::candidate::{Candidate, Reason, mix};

/// Most load of a preferred scheduler, in percent of the average. 120 to 130 costs little
/// affinity and little evenness (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing
/// with bounded loads", 2016).
const LOAD_PERCENT_MAX: u128 = 125;

/// The work and the batch sizes of several candidates together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    work_tokens: u128,
    batch_sizes: u128,
}

impl Total {
    pub(crate) fn of(candidates: &[Candidate]) -> Self {
        let mut total = Self::default();
        candidates.iter().for_each(|candidate| total.add(candidate));
        total
    }

    pub(crate) fn add(&mut self, candidate: &Candidate) {
        self.work_tokens += u128::from(candidate.work_tokens);
        self.batch_sizes += u128::from(candidate.batch_size_max);
    }

    pub(crate) fn subtract(&mut self, candidate: &Candidate) {
        self.work_tokens -= u128::from(candidate.work_tokens);
        self.batch_sizes -= u128::from(candidate.batch_size_max);
    }

    /// Whether a candidate may be preferred: a request would run there at once, or its work is
    /// little above the average, in relation to the batch sizes.
    pub(crate) fn leaves_room(&self, candidate: &Candidate) -> bool {
        if candidate.requests < candidate.batch_size_max {
            return true;
        }
        let own = u128::from(candidate.work_tokens) * self.batch_sizes * 100;
        own <= self.work_tokens * u128::from(candidate.batch_size_max) * LOAD_PERCENT_MAX
    }
}

/// How far down its list a session has a scheduler: the greatest is its first choice. Choices
/// are ranked by a hash of session and scheduler (rendezvous hashing: Thaler and Ravishankar,
/// 1998): when a scheduler leaves, only its own sessions move, and there is no ring to maintain.
pub(crate) fn rank(session: u64, key: u64) -> u64 {
    mix(session ^ key)
}

/// The session's first choice that has room.
pub(super) fn choose_for_session(candidates: &[Candidate], session: u64) -> Option<(usize, Reason)> {
    let rank = |index: &usize| Reverse(rank(session, candidates[*index].key));
    let total = Total::of(candidates);
    let has_room = |index: usize| total.leaves_room(&candidates[index]);
    let first = (0..candidates.len()).min_by_key(rank)?;
    if has_room(first) {
        return Some((first, Reason::Session));
    }
    let next = (0..candidates.len()).filter(|&index| has_room(index)).min_by_key(rank);
    // There is always one, because not all can be above the average.
    Some((next.unwrap_or(first), Reason::Overloaded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(slot: usize, work_tokens: u64, requests: u32) -> Candidate {
        Candidate { slot, key: slot as u64, work_tokens, requests, batch_size_max: 4, turn: 0 }
    }

    #[test]
    fn a_free_place_in_the_batch_is_room_whatever_the_average() {
        let all = [candidate(0, 900, 3), candidate(1, 0, 0)];
        assert!(Total::of(&all).leaves_room(&all[0]));
    }

    #[test]
    fn with_a_queue_there_is_room_up_to_a_quarter_above_the_average() {
        let has_room = |work| {
            let all = [candidate(0, work, 9), candidate(1, 75, 9)];
            Total::of(&all).leaves_room(&all[0])
        };
        assert!(has_room(125), "125 is 1.25 times the average of 100");
        assert!(!has_room(126));
    }
}
