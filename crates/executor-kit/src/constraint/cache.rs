//! Cache of compiled constraints: applications send the same few schemas repeatedly. Refusals
//! are cached as well, because a constraint that exceeds a limit costs most.

use hostler_protocol::{Constraint, RequestError};
use lru::LruCache;

use super::ConstraintState;

/// Maximum weight of the cache, in units of llguidance's lexer fuel. A unit is about 400
/// bytes, so this is about 200 MB.
const WEIGHT_MAX: u64 = 500_000;

/// Minimum weight of a constraint, because the lexer's cost does not include a grammar's
/// rules. It also bounds the number of cached constraints.
const WEIGHT_MIN: u64 = 2_000;

/// Compiled constraints; the least recently used are evicted first.
pub(super) struct Cache {
    states: LruCache<Constraint, Cached>,
    weight: u64,
}

struct Cached {
    result: Result<ConstraintState, RequestError>,
    weight: u64,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { states: LruCache::unbounded(), weight: 0 }
    }

    /// The state of `constraint` at the start of an answer, or why it cannot be compiled.
    pub(super) fn get(&mut self, constraint: &Constraint) -> Option<Result<ConstraintState, RequestError>> {
        self.states.get(constraint).map(|cached| cached.result.clone())
    }

    /// Adds the result of a compilation; a state holds what `fuel` has built.
    pub(super) fn insert(&mut self, constraint: Constraint, result: Result<ConstraintState, RequestError>, fuel: u64) {
        let weight = fuel.max(WEIGHT_MIN);
        self.weight += weight;
        if let Some(replaced) = self.states.put(constraint, Cached { result, weight }) {
            self.weight -= replaced.weight;
        }
        while self.weight > WEIGHT_MAX {
            let Some((_, evicted)) = self.states.pop_lru() else { break };
            self.weight -= evicted.weight;
        }
    }
}
