//! How one scheduler is chosen among those that can serve a request. Pure.

use std::cmp::Ordering;

/// The policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The one with the least token work to do, in relation to its batch size.
    #[default]
    LeastLoaded,
    /// Each in turn.
    RoundRobin,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 2] = [Self::LeastLoaded, Self::RoundRobin];

    /// As the configuration and metric labels spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::RoundRobin => "round_robin",
        }
    }
}

/// A scheduler that can serve the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the router's table.
    pub(crate) slot: usize,
    /// Tokens that it has still to read and generate.
    pub(crate) work_tokens: u64,
    /// Most sequences that it runs at once; at least 1.
    pub(crate) batch_size_max: u32,
}

impl Candidate {
    /// Compares `work_tokens / batch_size_max`, exactly.
    fn compare_load(&self, other: &Self) -> Ordering {
        let left = u128::from(self.work_tokens) * u128::from(other.batch_size_max);
        let right = u128::from(other.work_tokens) * u128::from(self.batch_size_max);
        left.cmp(&right)
    }
}

/// The index in `candidates` (in the order of their slots) of the one to take;
/// `None` where there is none. `last` is the slot that was chosen before: the
/// round robin goes on after it, and so does the choice among equally loaded ones.
pub(crate) fn choose(policy: Policy, candidates: &[Candidate], last: Option<usize>) -> Option<usize> {
    let after_last = |slot: usize| last.is_none_or(|last| slot > last);
    // Sorts those after the last choice before those up to it, each by slot.
    let turn = |candidate: &Candidate| (!after_last(candidate.slot), candidate.slot);
    let best = match policy {
        Policy::RoundRobin => candidates.iter().enumerate().min_by_key(|(_, candidate)| turn(candidate)),
        Policy::LeastLoaded => candidates
            .iter()
            .enumerate()
            .min_by(|(_, left), (_, right)| left.compare_load(right).then_with(|| turn(left).cmp(&turn(right)))),
    };
    best.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(loads: &[(u64, u32)]) -> Vec<Candidate> {
        let candidate = |(slot, &(work_tokens, batch_size_max))| Candidate { slot, work_tokens, batch_size_max };
        loads.iter().enumerate().map(candidate).collect()
    }

    #[test]
    fn nobody_can_be_chosen_from_nothing() {
        for policy in Policy::ALL {
            assert_eq!(choose(policy, &[], Some(3)), None);
        }
    }

    #[test]
    fn work_counts_in_relation_to_the_batch_size() {
        // 100 tokens on a batch of 8 are done sooner than 50 on a batch of 1.
        assert_eq!(choose(Policy::LeastLoaded, &candidates(&[(50, 1), (100, 8)]), None), Some(1));
    }

    #[test]
    fn idle_schedulers_take_turns() {
        let idle = candidates(&[(0, 8), (0, 1), (0, 4)]);
        for policy in Policy::ALL {
            let mut last = None;
            let mut order = Vec::new();
            for _ in 0..6 {
                last = choose(policy, &idle, last);
                order.extend(last);
            }
            assert_eq!(order, [0, 1, 2, 0, 1, 2], "{policy:?}");
        }
    }

    proptest! {
        #[test]
        fn the_least_loaded_is_never_more_loaded_than_another(
            loads in prop::collection::vec((0u64..1000, 1u32..16), 1..8),
            last in prop::option::of(0usize..8),
        ) {
            let all = candidates(&loads);
            let chosen = choose(Policy::LeastLoaded, &all, last).expect("there is a candidate");
            for other in &all {
                prop_assert_ne!(all[chosen].compare_load(other), Ordering::Greater);
            }
        }

        #[test]
        fn round_robin_serves_everyone_equally(count in 1usize..8, rounds in 1usize..5) {
            let all = candidates(&vec![(7, 2); count]);
            let mut served = vec![0; count];
            let mut last = None;
            for _ in 0..count * rounds {
                let index = choose(Policy::RoundRobin, &all, last).expect("there is a candidate");
                served[index] += 1;
                last = Some(all[index].slot);
            }
            prop_assert!(served.iter().all(|&times| times == rounds));
        }
    }
}
