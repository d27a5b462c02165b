//! Streaming search for stop sequences.
//!
//! The result does not depend on how the text is split: the text is read byte by
//! byte, and the first byte that completes a stop sequence ends it. If that byte
//! completes several, the longest counts. The text is cut where it begins.

/// Searches for all stop sequences of a request in one pass.
pub(super) struct StopSearch {
    patterns: Vec<Pattern>,
    /// The end of the text that is a prefix of a stop sequence.
    held: String,
}

/// The result of pushing a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No stop sequence so far; this text cannot be part of one.
    Clear(String),
    /// A stop sequence is complete; this text precedes it.
    Match(String),
}

impl StopSearch {
    /// Empty strings in `sequences` match nothing.
    pub(super) fn new(sequences: &[String]) -> Self {
        let patterns = sequences.iter().filter(|sequence| !sequence.is_empty()).map(|sequence| Pattern::new(sequence));
        Self { patterns: patterns.collect(), held: String::new() }
    }

    /// Searches the next piece of text.
    pub(super) fn push(&mut self, piece: String) -> Found {
        if self.patterns.is_empty() {
            return Found::Clear(piece);
        }
        let before = self.held.len();
        self.held.push_str(&piece);
        for (index, byte) in piece.bytes().enumerate() {
            if let Some(length) = self.advance(byte) {
                let mut text = std::mem::take(&mut self.held);
                text.truncate(before + index + 1 - length);
                return Found::Match(text);
            }
        }
        let hold = self.patterns.iter().map(|pattern| pattern.matched).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - hold);
        Found::Clear(std::mem::replace(&mut self.held, rest))
    }

    /// The held-back text: at the end of the answer it belongs to no stop sequence.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The stop sequence that is complete: the longest, if several are.
    pub(super) fn matched(&self) -> Option<&str> {
        let complete = self.patterns.iter().filter(|pattern| pattern.matched == pattern.sequence.len());
        complete.map(|pattern| &*pattern.sequence).max_by_key(|sequence| sequence.len())
    }

    /// The length of the longest stop sequence that `byte` completes.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        let completed =
            self.patterns.iter_mut().filter_map(|pattern| pattern.advance(byte).then_some(pattern.sequence.len()));
        completed.max()
    }
}

/// A stop sequence, searched for with the Knuth-Morris-Pratt algorithm.
///
/// A stop sequence consists of whole characters, so every match of it, or of a prefix
/// of it, in valid UTF-8 begins at a character boundary.
struct Pattern {
    sequence: Box<str>,
    /// `border[n]`: length of the longest proper prefix that is also a suffix of the
    /// first `n + 1` bytes.
    border: Box<[usize]>,
    /// Length of the longest prefix that the text so far ends with.
    matched: usize,
}

impl Pattern {
    fn new(sequence: &str) -> Self {
        let bytes = sequence.as_bytes();
        let mut border = vec![0; bytes.len()];
        for end in 1..bytes.len() {
            border[end] = extend(bytes, &border, border[end - 1], bytes[end]);
        }
        Self { sequence: sequence.into(), border: border.into(), matched: 0 }
    }

    /// Whether `byte` completes the sequence. Must not be called after it has.
    fn advance(&mut self, byte: u8) -> bool {
        self.matched = extend(self.sequence.as_bytes(), &self.border, self.matched, byte);
        self.matched == self.sequence.len()
    }
}

/// The length matched after `byte`, if `matched` bytes were matched before.
fn extend(bytes: &[u8], border: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && bytes[matched] != byte {
        matched = border[matched - 1];
    }
    matched + usize::from(bytes[matched] == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(stops: &[&str]) -> StopSearch {
        StopSearch::new(&stops.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>())
    }

    fn clear(text: &str) -> Found {
        Found::Clear(text.to_owned())
    }

    #[test]
    fn only_a_prefix_of_a_stop_sequence_is_held_back() {
        let mut search = search(&["END", "ENDE"]);
        assert_eq!(search.push("the E".into()), clear("the "));
        assert_eq!(search.push("N".into()), clear(""));
        assert_eq!(search.push("EN".into()), clear("EN"));
        assert_eq!(search.push("D!".into()), Found::Match(String::new()));
    }

    #[test]
    fn the_first_completed_sequence_wins_then_the_longest() {
        assert_eq!(search(&["abcd", "bc"]).push("xabcd".into()), Found::Match("xa".into()));
        let mut search = search(&["c", "abc"]);
        assert_eq!(search.push("xab".into()), clear("x"));
        assert_eq!(search.matched(), None);
        assert_eq!(search.push("c".into()), Found::Match(String::new()));
        assert_eq!(search.matched(), Some("abc"));
    }

    #[test]
    fn a_self_overlapping_sequence_is_found() {
        let mut search = search(&["aab"]);
        assert_eq!(search.push("aaa".into()), clear("a"));
        assert_eq!(search.push("b".into()), Found::Match(String::new()));
    }

    #[test]
    fn finish_returns_the_held_back_text() {
        let mut search = search(&["\n\nQ"]);
        assert_eq!(search.push("é\n\n".into()), clear("é"));
        assert_eq!(search.finish(), "\n\n");
    }
}
