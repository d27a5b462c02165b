//! The search for stop sequences in text that arrives in pieces.
//!
//! The rule, which does not depend on where the pieces begin: read the text byte
//! by byte, and stop at the first byte that completes a stop sequence. Where it
//! completes several, the longest counts. The text is cut where that one begins.

/// Searches for all stop sequences of one request at once.
pub(super) struct StopSearch {
    patterns: Vec<Pattern>,
    /// Text at the end that may be the beginning of a stop sequence.
    held: String,
}

/// What is known of the text after one more piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No stop sequence: this text can no longer be part of one.
    Clear(String),
    /// A stop sequence is complete: this text comes before it.
    Match(String),
}

impl StopSearch {
    /// `sequences` must not be empty strings; those match nothing.
    pub(super) fn new(sequences: &[String]) -> Self {
        let patterns = sequences.iter().filter(|sequence| !sequence.is_empty()).map(|sequence| Pattern::new(sequence));
        Self { patterns: patterns.collect(), held: String::new() }
    }

    /// Takes the next piece of text.
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

    /// The end came: what was held back is the beginning of no stop sequence.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of the longest stop sequence that `byte` completes.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        let completed =
            self.patterns.iter_mut().filter_map(|pattern| pattern.advance(byte).then_some(pattern.bytes.len()));
        completed.max()
    }
}

/// One stop sequence, searched for by Knuth, Morris and Pratt's algorithm.
///
/// A stop sequence is whole characters, so what it matches in valid UTF-8 begins
/// at a character, and so does every match of its beginning.
struct Pattern {
    bytes: Box<[u8]>,
    /// `border[n]`: how much of the beginning also ends the first `n + 1` bytes.
    border: Box<[usize]>,
    /// How many bytes of it the text so far ends with.
    matched: usize,
}

impl Pattern {
    fn new(sequence: &str) -> Self {
        let bytes = sequence.as_bytes();
        let mut border = vec![0; bytes.len()];
        for end in 1..bytes.len() {
            border[end] = extend(bytes, &border, border[end - 1], bytes[end]);
        }
        Self { bytes: bytes.into(), border: border.into(), matched: 0 }
    }

    /// Whether `byte` completes the sequence. Not called again once it has.
    fn advance(&mut self, byte: u8) -> bool {
        self.matched = extend(&self.bytes, &self.border, self.matched, byte);
        self.matched == self.bytes.len()
    }
}

/// How much of `bytes` is matched after `byte`, when `matched` of it were before.
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
    fn only_what_may_be_a_beginning_is_held_back() {
        let mut search = search(&["END", "ENDE"]);
        assert_eq!(search.push("the E".into()), clear("the "));
        assert_eq!(search.push("N".into()), clear(""));
        assert_eq!(search.push("EN".into()), clear("EN"));
        assert_eq!(search.push("D!".into()), Found::Match(String::new()));
    }

    #[test]
    fn the_first_to_be_complete_wins_then_the_longest() {
        assert_eq!(search(&["abcd", "bc"]).push("xabcd".into()), Found::Match("xa".into()));
        assert_eq!(search(&["c", "abc"]).push("xabc".into()), Found::Match("x".into()));
    }

    #[test]
    fn a_sequence_that_overlaps_itself_is_found() {
        let mut search = search(&["aab"]);
        assert_eq!(search.push("aaa".into()), clear("a"));
        assert_eq!(search.push("b".into()), Found::Match(String::new()));
    }

    #[test]
    fn the_end_gives_back_what_was_held() {
        let mut search = search(&["\n\nQ"]);
        assert_eq!(search.push("é\n\n".into()), clear("é"));
        assert_eq!(search.finish(), "\n\n");
    }
}
