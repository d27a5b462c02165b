//! Random text of a known length in tokens, and checksums of texts.
//!
//! A client has no tokenizer. These words are among the most common in English, and each,
//! with the space before it, is a single token in common vocabularies, so the number of
//! words is the number of tokens, except for what the chat template adds. Results report
//! the server's own count.

use rand::Rng;
use rand::seq::IndexedRandom;
use sha2::{Digest, Sha256};

/// Words of one token each.
const WORDS: [&str; 64] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "on", "are", "as", "with", "his", "they", "at",
    "be", "this", "from", "have", "or", "by", "one", "had", "not", "but", "what", "all", "were", "when", "we", "there",
    "can", "an", "your", "which", "their", "said", "if", "do", "will", "each", "about", "how", "up", "out", "them",
    "then", "she", "many", "some", "so", "these", "would", "other", "into", "has", "more", "her", "two", "like", "him",
    "see",
];

/// `count` random words, separated by single spaces.
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

/// The SHA-256 of a text, in hexadecimal.
#[must_use]
pub fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
