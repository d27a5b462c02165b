//! How far a scheduler that is preferred for its memory may be ahead of the others
//! in load: affinity without a hot spot. Pure.

use super::Candidate;

/// Most load that a preferred scheduler may have, in hundredths of the average.
/// Between 1.2 and 1.3 costs little affinity and little evenness (Mirrokni, Thorup
/// and Zadimoghaddam, "Consistent hashing with bounded loads", 2016).
const LOAD_PERCENT_MAX: u128 = 125;

/// Whether `candidates[index]` may be preferred: a request would run there at once,
/// or it has little more work than the average, each in relation to its batch size.
pub(super) fn has_room(candidates: &[Candidate], index: usize) -> bool {
    let candidate = &candidates[index];
    if candidate.requests < candidate.batch_size_max {
        return true;
    }
    let work: u128 = candidates.iter().map(|candidate| u128::from(candidate.work_tokens)).sum();
    let places: u128 = candidates.iter().map(|candidate| u128::from(candidate.batch_size_max)).sum();
    let own = u128::from(candidate.work_tokens) * places * 100;
    own <= work * u128::from(candidate.batch_size_max) * LOAD_PERCENT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(slot: usize, work_tokens: u64, requests: u32) -> Candidate {
        Candidate { slot, key: slot as u64, work_tokens, requests, batch_size_max: 4, matched_blocks: 0 }
    }

    #[test]
    fn one_with_a_free_place_has_room_whatever_the_others_do() {
        assert!(has_room(&[candidate(0, 900, 3), candidate(1, 0, 0)], 0));
    }

    #[test]
    fn one_with_a_queue_has_room_up_to_a_quarter_above_the_average() {
        let others = |work| [candidate(0, work, 9), candidate(1, 75, 9)];
        assert!(has_room(&others(125), 0), "125 is 1.25 times the average of 100");
        assert!(!has_room(&others(126), 0));
    }
}
