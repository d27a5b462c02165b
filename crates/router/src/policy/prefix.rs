//! Which schedulers have read a prompt's prefix before. Pure.
//!
//! A prompt is cut into blocks. Each block's hash includes the blocks before it, so equal
//! hashes mean equal prefixes, and a map from hashes is a prefix tree. What it says is a guess:
//! that an engine still has what it has read. It is forgotten when the engine restarts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_protocol::{CacheScope, Prompt};

use super::affinity::Total;
use super::candidate::Candidate;

/// Bytes of a block: about 32 tokens, or two to four blocks of engines' prefix caches.
/// Prompts that differ within the first block have no common prefix.
const BLOCK_BYTES: usize = 128;

/// Most blocks of a prompt that are compared: 32 KiB of text. It bounds the work for one
/// request.
const BLOCKS_MAX: usize = 256;

/// Most caches that are remembered for a block. Common prefixes spread over the cluster under
/// load, and four of their schedulers are as good a choice as all.
const HOLDERS_MAX: usize = 4;

/// No node.
const NONE: u32 = u32::MAX;

/// The prefix cache of one engine: of the scheduler in a slot, until its engine restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cache(u64);

impl Cache {
    /// Bits that are the slot: far more than a cluster has schedulers.
    const SLOT_BITS: u32 = 24;

    /// `number` is that of no other cache.
    pub(crate) fn new(slot: usize, number: u64) -> Self {
        Self((number << Self::SLOT_BITS) | slot as u64)
    }

    pub(crate) fn slot(self) -> usize {
        usize::try_from(self.0 & ((1 << Self::SLOT_BITS) - 1)).unwrap_or(usize::MAX)
    }
}

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

/// What the prefixes say about the candidates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// The one that has read most of the prompt, of those that have room; of equals the least
    /// loaded.
    Preferred(usize),
    /// All that have read a part of it are overloaded.
    Overloaded,
    /// None has read a part of it.
    None,
}

impl Preference {
    /// Finds it among the candidates, each with a number and the blocks that it has read.
    pub(crate) fn among<'a>(matching: impl Iterator<Item = (usize, &'a Candidate, u32)>, total: &Total) -> Self {
        let mut is_any = false;
        let with_room = matching.filter(|(_, candidate, blocks)| {
            is_any |= *blocks > 0;
            *blocks > 0 && total.leaves_room(candidate)
        });
        let longest =
            with_room.max_by(|(_, left, most), (_, right, blocks)| most.cmp(blocks).then_with(|| right.by_load(left)));
        match longest {
            Some((index, ..)) => Self::Preferred(index),
            None if is_any => Self::Overloaded,
            None => Self::None,
        }
    }
}

/// Which caches have read which blocks. Remembers a limited number of blocks and forgets those
/// that have not been used for longest. A block takes about 80 bytes.
#[derive(Debug)]
pub(crate) struct PrefixIndex {
    /// The node of each block.
    places: HashMap<u64, u32>,
    nodes: Vec<Node>,
    newest: u32,
    oldest: u32,
    capacity: usize,
}

#[derive(Debug)]
struct Node {
    block: u64,
    newer: u32,
    older: u32,
    /// The latest first.
    holders: [Option<Cache>; HOLDERS_MAX],
}

impl PrefixIndex {
    /// An index of at most `capacity` blocks, at least 1.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: HashMap::new(), nodes: Vec::new(), newest: NONE, oldest: NONE, capacity: capacity.max(1) }
    }

    /// How many of the first blocks each cache has read, for those that have read any.
    pub(crate) fn matches(&self, blocks: &[u64]) -> Vec<(Cache, u32)> {
        let mut matches: Vec<(Cache, u32)> = Vec::new();
        for (depth, block) in (0..).zip(blocks) {
            let Some(&place) = self.places.get(block) else { break };
            let holders = &self.nodes[place as usize].holders;
            if depth == 0 {
                matches.extend(holders.iter().flatten().map(|&cache| (cache, 1)));
                continue;
            }
            let mut grew = false;
            for (cache, length) in &mut matches {
                if *length == depth && holders.contains(&Some(*cache)) {
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

    /// Records that this cache reads these blocks now.
    pub(crate) fn insert(&mut self, blocks: &[u64], cache: Cache) {
        // Last block first, so that a prefix is forgotten after what follows it.
        for &block in blocks.iter().rev() {
            let place = self.place(block);
            self.unlink(place);
            self.link_as_newest(place);
            let holders = &mut self.nodes[place as usize].holders;
            // An earlier cache of the same scheduler is gone.
            let is_same = |holder: &Option<Cache>| holder.is_some_and(|holder| holder.slot() == cache.slot());
            let until = holders.iter().position(is_same).unwrap_or(HOLDERS_MAX - 1);
            holders[..=until].rotate_right(1);
            holders[0] = Some(cache);
        }
    }

    /// The node of a block: its own, a new one, or the oldest.
    fn place(&mut self, block: u64) -> u32 {
        if let Some(&place) = self.places.get(&block) {
            return place;
        }
        let new = Node { block, newer: NONE, older: NONE, holders: [None; HOLDERS_MAX] };
        let place = if self.nodes.len() < self.capacity {
            let place = u32::try_from(self.nodes.len()).unwrap_or(NONE);
            self.nodes.push(new);
            self.link_as_newest(place);
            place
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(&self.nodes[place as usize].block);
            self.nodes[place as usize] = new;
            self.link_as_newest(place);
            place
        };
        self.places.insert(block, place);
        place
    }

    fn unlink(&mut self, place: u32) {
        let Node { newer, older, .. } = self.nodes[place as usize];
        match self.nodes.get_mut(newer as usize) {
            Some(node) => node.older = older,
            None => self.newest = older,
        }
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_as_newest(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        (self.nodes[place as usize].newer, self.nodes[place as usize].older) = (NONE, older);
        match self.nodes.get_mut(older as usize) {
            Some(node) => node.newer = place,
            None => self.oldest = place,
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

    fn cache(slot: usize) -> Cache {
        Cache::new(slot, 7)
    }

    #[test]
    fn a_match_ends_at_the_first_block_that_its_scheduler_has_not_read() {
        let mut index = PrefixIndex::new(100);
        index.insert(&[1, 2, 3], cache(10));
        index.insert(&[1, 2, 4, 5], cache(11));
        assert_eq!(index.matches(&[1, 2, 4, 6]), [(cache(11), 3), (cache(10), 2)]);
        assert!(index.matches(&[9, 1]).is_empty());
    }

    #[test]
    fn the_least_recently_used_block_is_forgotten_first() {
        let mut index = PrefixIndex::new(4);
        index.insert(&[1, 2], cache(10));
        index.insert(&[3, 4], cache(10));
        index.insert(&[1], cache(10));
        index.insert(&[5], cache(10));
        assert_eq!(index.matches(&[1, 2]), [(cache(10), 1)], "2 was the oldest");
        assert_eq!(index.matches(&[3, 4]), [(cache(10), 2)]);
    }

    #[test]
    fn a_scheduler_has_one_cache_at_a_time() {
        let mut index = PrefixIndex::new(4);
        let (before, after) = (Cache::new(3, 1), Cache::new(3, 2));
        index.insert(&[1], before);
        index.insert(&[1], cache(4));
        index.insert(&[1], after);
        assert_eq!(index.matches(&[1]), [(after, 1), (cache(4), 1)]);
        assert_eq!((after.slot(), before == after), (3, false));
    }

    proptest! {
        #[test]
        fn it_remembers_what_was_used_last_and_no_more_than_its_capacity(
            inserts in prop::collection::vec((prop::collection::vec(0u64..200, 1..20), 0usize..20), 1..300),
        ) {
            const CAPACITY: usize = 32;
            let mut index = PrefixIndex::new(CAPACITY);
            // Blocks in the order of their last use, the latest last.
            let mut used: Vec<u64> = Vec::new();
            for (blocks, slot) in inserts {
                index.insert(&blocks, cache(slot));
                for block in blocks.iter().rev() {
                    used.retain(|other| other != block);
                    used.push(*block);
                }
                prop_assert!(index.nodes.len() <= CAPACITY);
                prop_assert_eq!(index.places.len(), index.nodes.len());
                let kept = &used[used.len().saturating_sub(CAPACITY)..];
                prop_assert!(kept.iter().all(|block| index.places.contains_key(block)));
                prop_assert!(index.matches(&blocks).contains(&(cache(slot), blocks_in_a_row(&blocks))));
            }
        }
    }

    fn blocks_in_a_row(blocks: &[u64]) -> u32 {
        u32::try_from(blocks.len()).expect("few")
    }
}
