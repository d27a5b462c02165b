//! Random text of a known length.
//!
//! A client has no tokenizer. These words are among the commonest of English,
//! and each, with the space before it, is a single token in the vocabularies in
//! common use; so the number of words is the number of tokens, up to what the
//! chat template adds. The server's own count is what results report.

use rand::Rng;
use rand::seq::IndexedRandom;

/// Words of one token each.
const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "on", "are", "as", "with", "his", "they", "at",
    "be", "this", "from", "have", "or", "by", "one", "had", "not", "but", "what", "all", "were", "when", "we", "there",
    "can", "an", "your", "which", "their", "said", "if", "do", "will", "each", "about", "how", "up", "out", "them",
    "then", "she", "many", "some", "so", "these", "would", "other", "into", "has", "more", "her", "two", "like", "him",
    "see",
];

/// `count` random words, one space between them.
pub(super) fn text(count: u32, random: &mut impl Rng) -> String {
    let mut text = String::with_capacity(count as usize * 5);
    for _ in 0..count {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(WORDS.choose(random).copied().unwrap_or_default());
    }
    text
}
