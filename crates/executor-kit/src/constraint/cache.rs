//! Constraints that were compiled before: an application sends the same few schemas all
//! day.

use hostler_protocol::Constraint;
use lru::LruCache;

use super::ConstraintState;

/// What all cached constraints may weigh, in units of llguidance's lexer fuel: each is
/// about 400 bytes, so this is some 200 MB.
const WEIGHT_MAX: u64 = 500_000;

/// The lexer's cost does not count a grammar's rules: a constraint weighs at least this,
/// which also bounds the number of those in the cache.
const WEIGHT_MIN: u64 = 2_000;

/// Compiled constraints, of which the least recently used are forgotten first.
pub(super) struct Cache {
    states: LruCache<Constraint, Cached>,
    weight: u64,
}

struct Cached {
    state: ConstraintState,
    weight: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { states: LruCache::unbounded(), weight: 0 }
    }

    /// The state of `constraint` at the beginning of an answer.
    pub(super) fn get(&mut self, constraint: &Constraint) -> Option<ConstraintState> {
        self.states.get(constraint).map(|cached| cached.state.clone())
    }

    /// Keeps a state that took so much fuel to compile.
    pub(super) fn insert(&mut self, constraint: Constraint, state: ConstraintState, fuel: u64) {
        let weight = fuel.max(WEIGHT_MIN);
        self.weight += weight;
        if let Some(replaced) = self.states.put(constraint, Cached { state, weight }) {
            self.weight -= replaced.weight;
        }
        while self.weight > WEIGHT_MAX {
            let Some((_, forgotten)) = self.states.pop_lru() else { break };
            self.weight -= forgotten.weight;
        }
    }
}
