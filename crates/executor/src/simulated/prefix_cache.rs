//! The prefix cache: prompt prefixes that need no prefill.

use std::collections::VecDeque;
use std::sync::Arc;

use hostler_protocol::TokenId;

/// The tokens of finished sequences, up to a capacity; the least recently used are
/// evicted first.
pub(super) struct PrefixCache {
    capacity_tokens: u64,
    held_tokens: u64,
    /// Most recently used last.
    entries: VecDeque<Arc<[TokenId]>>,
}

impl PrefixCache {
    /// A capacity of 0 disables the cache.
    pub(super) fn new(capacity_tokens: u64) -> Self {
        Self { capacity_tokens, held_tokens: 0, entries: VecDeque::new() }
    }

    /// Length of the longest cached prefix of `tokens`.
    pub(super) fn reuse(&mut self, tokens: &[TokenId]) -> u32 {
        let shared = |entry: &Arc<[TokenId]>| entry.iter().zip(tokens).take_while(|(a, b)| a == b).count();
        let best = self.entries.iter().map(shared).enumerate().max_by_key(|&(_, length)| length);
        let Some((index, length)) = best.filter(|&(_, length)| length > 0) else { return 0 };
        let used = self.entries.remove(index);
        self.entries.extend(used);
        length as u32
    }

    /// Adds the tokens of a finished sequence.
    pub(super) fn keep(&mut self, tokens: Arc<[TokenId]>) {
        let length = tokens.len() as u64;
        if length > self.capacity_tokens {
            return;
        }
        while self.held_tokens + length > self.capacity_tokens {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.held_tokens -= oldest.len() as u64;
        }
        self.held_tokens += length;
        self.entries.push_back(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_is_found_and_the_least_recently_used_is_evicted() {
        let mut cache = PrefixCache::new(8);
        cache.keep([1, 2, 3].as_slice().into());
        cache.keep([1, 9, 9, 9].as_slice().into());
        assert_eq!(cache.reuse(&[1, 2, 4]), 2);
        assert_eq!(cache.reuse(&[7]), 0);
        cache.keep([5, 5, 5].as_slice().into());
        assert_eq!(cache.reuse(&[1, 9, 9]), 1, "the entry that was not used is evicted");
        assert_eq!(cache.reuse(&[1, 2, 3, 4]), 3);
        cache.keep([0; 9].as_slice().into());
        assert_eq!(cache.reuse(&[0]), 0, "it is larger than the cache");
    }
}
