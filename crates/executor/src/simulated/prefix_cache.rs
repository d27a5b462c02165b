//! The prefix cache: prompt prefixes that need no prefill.

use std::collections::VecDeque;
use std::sync::Arc;

use hostler_protocol::{CacheScope, TokenId};

/// The tokens of finished sequences, up to a capacity; the least recently used are
/// evicted first.
pub(super) struct PrefixCache {
    capacity_tokens: u64,
    held_tokens: u64,
    /// Most recently used last.
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    scope: CacheScope,
    tokens: Arc<[TokenId]>,
}

impl PrefixCache {
    /// A capacity of 0 disables the cache.
    pub(super) fn new(capacity_tokens: u64) -> Self {
        Self { capacity_tokens, held_tokens: 0, entries: VecDeque::new() }
    }

    /// Length of the longest cached prefix of `tokens` in this scope.
    pub(super) fn reuse(&mut self, scope: &CacheScope, tokens: &[TokenId]) -> u32 {
        let shared = |entry: &Entry| {
            if entry.scope != *scope {
                return 0;
            }
            entry.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count()
        };
        let best = self.entries.iter().map(shared).enumerate().max_by_key(|&(_, length)| length);
        let Some((index, length)) = best.filter(|&(_, length)| length > 0) else { return 0 };
        let used = self.entries.remove(index);
        self.entries.extend(used);
        length as u32
    }

    /// Adds the tokens of a finished sequence of this scope.
    pub(super) fn keep(&mut self, scope: CacheScope, tokens: Arc<[TokenId]>) {
        let length = tokens.len() as u64;
        if length > self.capacity_tokens {
            return;
        }
        while self.held_tokens + length > self.capacity_tokens {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.held_tokens -= oldest.tokens.len() as u64;
        }
        self.held_tokens += length;
        self.entries.push_back(Entry { scope, tokens });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_is_found_and_the_least_recently_used_is_evicted() {
        let mut cache = PrefixCache::new(8);
        cache.keep(CacheScope::default(), [1, 2, 3].as_slice().into());
        cache.keep(CacheScope::default(), [1, 9, 9, 9].as_slice().into());
        assert_eq!(cache.reuse(&CacheScope::default(), &[1, 2, 4]), 2);
        assert_eq!(cache.reuse(&CacheScope::default(), &[7]), 0);
        cache.keep(CacheScope::default(), [5, 5, 5].as_slice().into());
        assert_eq!(cache.reuse(&CacheScope::default(), &[1, 9, 9]), 1, "the entry that was not used is evicted");
        assert_eq!(cache.reuse(&CacheScope::default(), &[1, 2, 3, 4]), 3);
        cache.keep(CacheScope::default(), [0; 9].as_slice().into());
        assert_eq!(cache.reuse(&CacheScope::default(), &[0]), 0, "it is larger than the cache");
    }

    #[test]
    fn a_prefix_is_only_reused_within_its_scope() {
        let scope = |tenant: &str, salt: Option<&str>| CacheScope {
            tenant: Some(tenant.into()),
            salt: salt.map(str::to_owned),
        };
        let mut cache = PrefixCache::new(8);
        cache.keep(scope("alice", None), [1, 2, 3].as_slice().into());
        assert_eq!(cache.reuse(&scope("bob", None), &[1, 2, 3]), 0);
        assert_eq!(cache.reuse(&scope("alice", Some("a")), &[1, 2, 3]), 0);
        assert_eq!(cache.reuse(&scope("alice", None), &[1, 2, 3]), 3);
    }
}
