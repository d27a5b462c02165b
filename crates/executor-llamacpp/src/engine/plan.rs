//! Plans the next step. Pure.
//!
//! Every decoding sequence gets a token in every step. In addition, a step processes a
//! bounded number of prompt tokens, oldest prompt first, so the longest time between two
//! tokens of a decoding sequence is the duration of one step.

/// The tokens that a sequence still has to feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Its slot.
    pub(crate) slot: usize,
    /// Tokens not yet fed, at least 1. If it is 1 (the last generated token, or the last
    /// one of the prompt), the step gives the sequence its next token.
    pub(crate) pending: usize,
    /// Its number among the admissions; smaller is older.
    pub(crate) admission: u64,
}

/// The part of a sequence in the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Index into the demands.
    pub(crate) demand: usize,
    /// Number of tokens, at least 1.
    pub(crate) count: usize,
}

/// Maximum prompt tokens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkBudget {
    /// While other sequences decode; at least 1.
    pub(crate) with_decoding: usize,
    /// While none decodes; at least 1.
    pub(crate) alone: usize,
}

/// The rows of the next step, in the order of their slots, because adjacent slots share a
/// pass over the weights.
pub(crate) fn plan_step(demands: &[Demand], budget: ChunkBudget) -> Vec<Row> {
    let decodes = |demand: &Demand| demand.pending == 1;
    let mut rows: Vec<Row> = Vec::with_capacity(demands.len());
    let mut prompts: Vec<usize> = Vec::new();
    for (index, demand) in demands.iter().enumerate() {
        if decodes(demand) {
            rows.push(Row { demand: index, count: 1 });
        } else {
            prompts.push(index);
        }
    }
    let mut room = if rows.is_empty() { budget.alone } else { budget.with_decoding };
    prompts.sort_unstable_by_key(|&index| demands[index].admission);
    for index in prompts {
        let count = demands[index].pending.min(room);
        if count == 0 {
            break;
        }
        room -= count;
        rows.push(Row { demand: index, count });
    }
    rows.sort_unstable_by_key(|row| demands[row.demand].slot);
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: ChunkBudget = ChunkBudget { with_decoding: 8, alone: 32 };

    fn demand(slot: usize, pending: usize, admission: u64) -> Demand {
        Demand { slot, pending, admission }
    }

    #[test]
    fn the_oldest_prompt_is_processed_with_the_decoding_sequences() {
        let demands = [demand(2, 20, 1), demand(0, 1, 2), demand(1, 20, 0)];
        let rows = plan_step(&demands, BUDGET);
        assert_eq!(rows, [Row { demand: 1, count: 1 }, Row { demand: 2, count: 8 }]);
    }

    #[test]
    fn without_decoding_sequences_prompts_share_the_larger_budget() {
        let demands = [demand(1, 20, 0), demand(0, 20, 1)];
        let rows = plan_step(&demands, BUDGET);
        assert_eq!(rows, [Row { demand: 1, count: 12 }, Row { demand: 0, count: 20 }]);
    }

    prop_compose! {
        fn any_demands()(pending in proptest::collection::vec(1_usize..40, 0..9), shift in 0_usize..9)
            -> Vec<Demand>
        {
            let count = pending.len();
            pending.into_iter().enumerate()
                .map(|(index, pending)| demand((index + shift) % count, pending, index as u64))
                .collect()
        }
    }

    proptest! {
        #[test]
        fn every_step_feeds_all_decoding_sequences_within_its_budget(demands in any_demands()) {
            let rows = plan_step(&demands, BUDGET);
            prop_assert_eq!(rows.is_empty(), demands.is_empty());
            let mut prompt_tokens = 0;
            for row in &rows {
                prop_assert!((1..=demands[row.demand].pending).contains(&row.count));
                if demands[row.demand].pending > 1 {
                    prompt_tokens += row.count;
                }
            }
            let decoding = demands.iter().filter(|demand| demand.pending == 1).count();
            prop_assert_eq!(rows.iter().filter(|row| demands[row.demand].pending == 1).count(), decoding);
            let room = if decoding > 0 { BUDGET.with_decoding } else { BUDGET.alone };
            prop_assert!(prompt_tokens <= room);
            prop_assert!(rows.is_sorted_by(|left, right| demands[left.demand].slot < demands[right.demand].slot));
        }

        #[test]
        fn the_oldest_prompt_always_progresses(demands in any_demands()) {
            let rows = plan_step(&demands, BUDGET);
            let oldest = (0..demands.len()).filter(|&i| demands[i].pending > 1).min_by_key(|&i| demands[i].admission);
            if let Some(oldest) = oldest {
                prop_assert!(rows.iter().any(|row| row.demand == oldest));
            }
        }
    }
}
