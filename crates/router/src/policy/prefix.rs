//! Which schedulers have read a prompt's prefix before. Pure.
//!
//! A prompt is cut into blocks. Each block's hash includes the blocks before it, so equal
//! hashes mean equal prefixes, and a map from hashes is a prefix tree. It is bounded, and
//! evicts the least recently used blocks.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_protocol::{CacheScope, Prompt};

use super::candidate::Candidate;

/// Bytes of a block: about 32 tokens, or two to four blocks of engines' prefix caches.
/// Prompts that differ within the first block have no common prefix.
const BLOCK_BYTES: usize = 128;

/// Most blocks of a prompt that are compared: 32 KiB of text. It bounds the work for one
/// request.
const BLOCKS_MAX: usize = 256;

/// Most blocks that are remembered: about 8 MiB of memory, for 8 MiB of prompts.
const REMEMBERED_MAX: usize = 65_536;

/// Most schedulers that are remembered for a block. Common prefixes spread over the cluster
/// under load, and eight of their schedulers are as good a choice as all.
const HOLDERS_MAX: usize = 8;

/// The hashes of a prompt's complete blocks. They include the scope, because engines reuse no
/// prefix of another scope.
pub(crate) fn prompt_blocks(scope: &CacheScope, prompt: &Prompt) -> Vec<u64> {
    let mut blocks = Blocks::default();
    scope.hash(&mut blocks.hasher);
    match prompt {
        Prompt::Text(text) => blocks.push(text.as_bytes()),
        Prompt::Chat(chat) => {
            // Templates render the tools before the messages.
            for text in [&chat.variables, &chat.tools].into_iter().flatten() {
                blocks.push(text.as_bytes());
                blocks.push(&[0]);
            }
            for message in &chat.messages {
                blocks.push(message.role.as_str().as_bytes());
                blocks.push(&[0]);
                blocks.push(message.content.as_bytes());
                blocks.push(&[0]);
                for call in &message.tool_calls {
                    blocks.push(call.name.as_bytes());
                    blocks.push(call.arguments.as_bytes());
                    blocks.push(&[0]);
                }
            }
        }
        Prompt::Tokens(tokens) => {
            for token in tokens {
                blocks.push(&token.to_le_bytes());
            }
        }
    }
    blocks.hashes
}

/// Cuts bytes into blocks and hashes them.
#[derive(Default)]
struct Blocks {
    hashes: Vec<u64>,
    hasher: DefaultHasher,
    filled: usize,
}

impl Blocks {
    fn push(&mut self, mut bytes: &[u8]) {
        while self.hashes.len() < BLOCKS_MAX && !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.hasher.write(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK_BYTES {
                // The hasher is not reset, so the next hash includes this block.
                self.hashes.push(self.hasher.finish());
                self.filled = 0;
            }
        }
    }
}

/// The candidate with the longest known prefix, if there is one; of equals the least loaded.
pub(super) fn preferred(candidates: &[Candidate]) -> Option<usize> {
    let matching = (0..candidates.len()).filter(|&index| candidates[index].matched_blocks > 0);
    matching.max_by(|&left, &right| {
        let (left, right) = (&candidates[left], &candidates[right]);
        left.matched_blocks.cmp(&right.matched_blocks).then_with(|| right.compare_load(left))
    })
}

/// Which schedulers have read which blocks.
#[derive(Debug)]
pub(crate) struct PrefixIndex {
    nodes: HashMap<u64, Node>,
    /// Uses of blocks, oldest first; all but a block's latest are stale.
    touched: VecDeque<(u64, u64)>,
    clock: u64,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// The schedulers' keys, the latest last.
    holders: Vec<u64>,
    touched: u64,
}

impl Default for PrefixIndex {
    fn default() -> Self {
        Self::with_capacity(REMEMBERED_MAX)
    }
}

impl PrefixIndex {
    fn with_capacity(capacity: usize) -> Self {
        Self { nodes: HashMap::new(), touched: VecDeque::new(), clock: 0, capacity }
    }

    /// How many of the first blocks each scheduler has read, for those that have read any.
    pub(crate) fn matches(&self, blocks: &[u64]) -> Vec<(u64, u32)> {
        let mut matches: Vec<(u64, u32)> = Vec::new();
        for (depth, block) in (0..).zip(blocks) {
            let Some(node) = self.nodes.get(block) else { break };
            if depth == 0 {
                matches.extend(node.holders.iter().map(|&key| (key, 1)));
                continue;
            }
            let mut grew = false;
            for (key, length) in &mut matches {
                if *length == depth && node.holders.contains(key) {
                    *length += 1;
                    grew = true;
                }
            }
            if !grew {
                break;
            }
        }
        matches
    }

    /// Records that the scheduler with this key reads these blocks now.
    pub(crate) fn insert(&mut self, blocks: &[u64], key: u64) {
        self.clock += 1;
        // Last block first, so that a prefix is evicted after what follows it.
        for &block in blocks.iter().rev() {
            let node = self.nodes.entry(block).or_default();
            node.holders.retain(|&holder| holder != key);
            if node.holders.len() == HOLDERS_MAX {
                node.holders.remove(0);
            }
            node.holders.push(key);
            node.touched = self.clock;
            self.touched.push_back((block, self.clock));
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.nodes.len() > self.capacity {
            let Some((block, touched)) = self.touched.pop_front() else { return };
            if self.nodes.get(&block).is_some_and(|node| node.touched == touched) {
                self.nodes.remove(&block);
            }
        }
        // Stale uses behind a live one are removed together, from time to time.
        if self.touched.len() > 2 * self.capacity + BLOCKS_MAX {
            let nodes = &self.nodes;
            self.touched.retain(|(block, touched)| nodes.get(block).is_some_and(|node| node.touched == *touched));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Vec<u64> {
        prompt_blocks(&CacheScope::default(), &Prompt::Text(text.to_owned()))
    }

    #[test]
    fn prompts_have_equal_blocks_up_to_where_they_differ() {
        let common = "You are a helpful assistant. ".repeat(20);
        let (left, right) = (text(&format!("{common}What is a crab?")), text(&format!("{common}What is a horse?")));
        let whole = common.len() / BLOCK_BYTES;
        assert_eq!(left[..whole], right[..whole]);
        assert!(text("short").is_empty());
        let salted = CacheScope { salt: Some("a".to_owned()), ..CacheScope::default() };
        assert_ne!(prompt_blocks(&salted, &Prompt::Text(common.clone()))[0], text(&common)[0]);
        assert_eq!(text(&"x".repeat(1 << 20)).len(), BLOCKS_MAX);
    }

    #[test]
    fn a_match_ends_at_the_first_block_that_its_scheduler_has_not_read() {
        let mut index = PrefixIndex::default();
        index.insert(&[1, 2, 3], 10);
        index.insert(&[1, 2, 4, 5], 11);
        let mut matches = index.matches(&[1, 2, 4, 6]);
        matches.sort_unstable();
        assert_eq!(matches, [(10, 2), (11, 3)]);
        assert!(index.matches(&[2]).is_empty() || index.matches(&[2]).iter().all(|&(_, length)| length == 1));
        assert!(index.matches(&[9, 1]).is_empty());
    }

    #[test]
    fn the_least_recently_used_block_is_evicted_first() {
        let mut index = PrefixIndex::with_capacity(4);
        index.insert(&[1, 2], 10);
        index.insert(&[3, 4], 10);
        index.insert(&[1], 10);
        index.insert(&[5], 10);
        assert_eq!(index.matches(&[1, 2]), [(10, 1)], "2 was the oldest");
        assert_eq!(index.matches(&[3, 4]), [(10, 2)]);
    }

    proptest! {
        #[test]
        fn memory_is_bounded(inserts in prop::collection::vec((prop::collection::vec(0u64..200, 1..20), 0u64..20), 1..300)) {
            let mut index = PrefixIndex::with_capacity(32);
            for (blocks, key) in inserts {
                index.insert(&blocks, key);
                prop_assert!(index.nodes.len() <= 32);
                prop_assert!(index.touched.len() <= 2 * 32 + BLOCKS_MAX);
                prop_assert!(index.nodes.values().all(|node| node.holders.len() <= HOLDERS_MAX));
            }
        }
    }
}
