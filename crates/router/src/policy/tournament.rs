//! The best of many entries, kept up to date in logarithmic time: a tournament tree. Pure.

use std::cmp::Ordering;

/// No entry.
const NONE: u32 = u32::MAX;

/// Most entries that a search passes over. A search that finds worse than that costs more than to
/// look at all entries.
pub(crate) const PASSED_OVER_MAX: usize = 8;

/// A binary tree over entries that are numbered from 0. Each node has the best entry below it.
/// The tree does not have the entries themselves: who changes one calls [`Tournament::set`].
#[derive(Debug, Default)]
pub(crate) struct Tournament {
    /// A power of two, or 0 for an empty tree.
    leaves: usize,
    /// The root is at 1, the children of `n` at `2 n` and `2 n + 1`, and the leaves come last.
    best: Vec<u32>,
}

impl Tournament {
    /// The entry takes part from now on, or not any more, or has changed. `compare` orders
    /// entries, the best first.
    pub(crate) fn set(&mut self, entry: usize, takes_part: bool, compare: impl Fn(usize, usize) -> Ordering) {
        if entry >= self.leaves {
            self.grow(entry + 1, &compare);
        }
        let number = u32::try_from(entry).unwrap_or(NONE);
        let mut node = self.leaves + entry;
        self.best[node] = if takes_part { number } else { NONE };
        while node > 1 {
            node /= 2;
            let before = self.best[node];
            self.best[node] = self.winner(node, &compare);
            // A node that had and has another best entry is not concerned, and neither are
            // those above it.
            if self.best[node] == before && before != number {
                return;
            }
        }
    }

    /// The best entry.
    pub(crate) fn first(&self) -> Option<usize> {
        self.best.get(1).copied().filter(|&best| best != NONE).map(|best| best as usize)
    }

    /// The best entry that `may` be taken; `None` if there is none, or if more than
    /// [`PASSED_OVER_MAX`] better ones may not be taken.
    pub(crate) fn first_that(
        &self,
        mut may: impl FnMut(usize) -> bool,
        compare: impl Fn(usize, usize) -> Ordering,
    ) -> Option<usize> {
        let first = self.first()?;
        if may(first) {
            return Some(first);
        }
        let mut open = Vec::new();
        self.open_losers(1, first, &mut open);
        for _ in 0..PASSED_OVER_MAX {
            let best = |&node: &usize| self.best[node] as usize;
            let at = (0..open.len()).min_by(|&left, &right| compare(best(&open[left]), best(&open[right])))?;
            let node = open.swap_remove(at);
            let entry = best(&node);
            if may(entry) {
                return Some(entry);
            }
            self.open_losers(node, entry, &mut open);
        }
        None
    }

    /// The first entries, the best first; at most `count`.
    pub(crate) fn leaders(&self, count: usize, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
        let mut leaders = Vec::with_capacity(count);
        // Accepts none of them before the last that is wanted.
        let see = |entry: usize| {
            leaders.push(entry);
            leaders.len() == count
        };
        if count > 0 {
            self.first_that(see, compare);
        }
        leaders
    }

    /// The subtrees below `node` that `entry`, the best of all, has won against.
    fn open_losers(&self, mut node: usize, entry: usize, open: &mut Vec<usize>) {
        while node < self.leaves {
            let left_won = self.best[2 * node] as usize == entry;
            let (won, lost) = if left_won { (2 * node, 2 * node + 1) } else { (2 * node + 1, 2 * node) };
            if self.best[lost] != NONE {
                open.push(lost);
            }
            node = won;
        }
    }

    fn winner(&self, node: usize, compare: &impl Fn(usize, usize) -> Ordering) -> u32 {
        match (self.best[2 * node], self.best[2 * node + 1]) {
            (NONE, right) => right,
            (left, NONE) => left,
            (left, right) if compare(left as usize, right as usize).is_le() => left,
            (_, right) => right,
        }
    }

    fn grow(&mut self, entries: usize, compare: &impl Fn(usize, usize) -> Ordering) {
        let leaves = entries.next_power_of_two();
        let mut best = vec![NONE; 2 * leaves];
        best[leaves..leaves + self.leaves].copy_from_slice(&self.best[self.best.len() - self.leaves..]);
        (self.leaves, self.best) = (leaves, best);
        for node in (1..leaves).rev() {
            self.best[node] = self.winner(node, compare);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_all_entries_finds(
            steps in prop::collection::vec((0usize..40, prop::option::of(0u32..20)), 1..200),
            excluded in prop::collection::hash_set(0usize..40, 0..PASSED_OVER_MAX),
        ) {
            let mut values: Vec<Option<u32>> = vec![None; 40];
            let mut tree = Tournament::default();
            for (entry, value) in steps {
                values[entry] = value;
                let order = |left: usize, right: usize| (values[left], left).cmp(&(values[right], right));
                tree.set(entry, value.is_some(), order);
                let all = || (0..40).filter(|&entry| values[entry].is_some());
                prop_assert_eq!(tree.first(), all().min_by(|&left, &right| order(left, right)));
                let may = |entry: usize| !excluded.contains(&entry);
                let expected = all().filter(|&entry| may(entry)).min_by(|&left, &right| order(left, right));
                prop_assert_eq!(tree.first_that(may, order), expected);
                let mut sorted: Vec<usize> = all().collect();
                sorted.sort_by(|&left, &right| order(left, right));
                prop_assert_eq!(tree.leaders(4, order), &sorted[..sorted.len().min(4)]);
            }
        }
    }

    #[test]
    fn a_search_gives_up_when_it_has_passed_over_too_many() {
        let mut tree = Tournament::default();
        let order = |left: usize, right: usize| left.cmp(&right);
        (0..100).for_each(|entry| tree.set(entry, true, order));
        assert_eq!(tree.first_that(|entry| entry == PASSED_OVER_MAX, order), Some(PASSED_OVER_MAX));
        assert_eq!(tree.first_that(|entry| entry == PASSED_OVER_MAX + 1, order), None);
    }
}
