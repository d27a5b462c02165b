//! What goes into the next step: pure.
//!
//! Every sequence that waits for its next token gets it in every step. Prompts are
//! read beside that, oldest first, by a bounded number of tokens in all: so the
//! longest gap between two tokens of a running sequence is the time of one step.

/// What one sequence still has to feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Where its keys and values are.
    pub(crate) slot: usize,
    /// Tokens not yet fed, at least 1. Exactly 1: the last one generated (or the
    /// last one of a prompt), so that this step brings its next token.
    pub(crate) pending: usize,
    /// Smaller is older.
    pub(crate) arrival: u64,
}

/// So many tokens of one sequence go into the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Index into the demands.
    pub(crate) demand: usize,
    /// At least 1.
    pub(crate) count: usize,
}

/// How many prompt tokens a step may take in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkBudget {
    /// While other sequences wait for their next token; at least 1.
    pub(crate) beside_decoding: usize,
    /// While none does; at least 1.
    pub(crate) alone: usize,
}

/// The rows of the next step, in the order of their slots: neighbouring slots
/// share a pass over the weights.
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
    let mut room = if rows.is_empty() { budget.alone } else { budget.beside_decoding };
    prompts.sort_unstable_by_key(|&index| demands[index].arrival);
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

    const BUDGET: ChunkBudget = ChunkBudget { beside_decoding: 8, alone: 32 };

    fn demand(slot: usize, pending: usize, arrival: u64) -> Demand {
        Demand { slot, pending, arrival }
    }

    #[test]
    fn the_oldest_prompt_is_read_first_beside_those_that_decode() {
        let demands = [demand(2, 20, 1), demand(0, 1, 2), demand(1, 20, 0)];
        let rows = plan_step(&demands, BUDGET);
        assert_eq!(rows, [Row { demand: 1, count: 1 }, Row { demand: 2, count: 8 }]);
    }

    #[test]
    fn prompts_alone_share_the_larger_budget() {
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
        fn every_step_feeds_all_that_decode_and_stays_within_its_budget(demands in any_demands()) {
            let rows = plan_step(&demands, BUDGET);
            prop_assert_eq!(rows.is_empty(), demands.is_empty());
            let mut of_prompts = 0;
            for row in &rows {
                prop_assert!((1..=demands[row.demand].pending).contains(&row.count));
                if demands[row.demand].pending > 1 {
                    of_prompts += row.count;
                }
            }
            let decoding = demands.iter().filter(|demand| demand.pending == 1).count();
            prop_assert_eq!(rows.iter().filter(|row| demands[row.demand].pending == 1).count(), decoding);
            let room = if decoding > 0 { BUDGET.beside_decoding } else { BUDGET.alone };
            prop_assert!(of_prompts <= room);
            prop_assert!(rows.is_sorted_by(|left, right| demands[left.demand].slot < demands[right.demand].slot));
        }

        #[test]
        fn the_oldest_prompt_always_comes_forward(demands in any_demands()) {
            let rows = plan_step(&demands, BUDGET);
            let oldest = (0..demands.len()).filter(|&i| demands[i].pending > 1).min_by_key(|&i| demands[i].arrival);
            if let Some(oldest) = oldest {
                prop_assert!(rows.iter().any(|row| row.demand == oldest));
            }
        }
    }
}
