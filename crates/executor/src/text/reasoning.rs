//! Separates the reasoning at the beginning of an answer from the text in which stop sequences are
//! searched.

use hostler_protocol::ReasoningSpan;

/// What has been seen of the reasoning.
#[derive(Debug)]
pub(super) enum Reasoning {
    /// It may begin; the text so far may be its tag.
    Before { span: ReasoningSpan, held: String },
    /// It has begun. The tail of its text may be the beginning of the closing tag.
    Inside { close: String, tail: String },
    /// It has ended, or there is none.
    After,
}

/// A piece of text, in the reasoning and after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) reasoning: String,
    pub(super) rest: String,
}

impl Reasoning {
    pub(super) fn new(span: Option<&ReasoningSpan>) -> Self {
        match span {
            None => Self::After,
            Some(span) if span.is_open => Self::Inside { close: span.close.clone(), tail: String::new() },
            Some(span) => Self::Before { span: span.clone(), held: String::new() },
        }
    }

    /// Splits the next piece of text.
    pub(super) fn push(&mut self, piece: String) -> Split {
        match self {
            Self::After => Split { rest: piece, ..Split::default() },
            Self::Inside { close, tail } => {
                let before = tail.len();
                tail.push_str(&piece);
                if let Some(at) = tail.find(close.as_str()) {
                    // The tag was not complete before, so it ends within the piece.
                    let end = (at + close.len()).saturating_sub(before);
                    *self = Self::After;
                    let (reasoning, rest) = piece.split_at(end);
                    return Split { reasoning: reasoning.to_owned(), rest: rest.to_owned() };
                }
                let mut keep = tail.len().saturating_sub(close.len());
                while !tail.is_char_boundary(keep) {
                    keep -= 1;
                }
                tail.drain(..keep);
                Split { reasoning: piece, ..Split::default() }
            }
            Self::Before { span, held } => {
                held.push_str(&piece);
                let text = held.trim_start();
                if text.len() < span.open.len() && span.open.starts_with(text) {
                    return Split::default();
                }
                let held = std::mem::take(held);
                if !held.trim_start().starts_with(&span.open) {
                    *self = Self::After;
                    return Split { rest: held, ..Split::default() };
                }
                let after = held.len() - held.trim_start().len() + span.open.len();
                *self = Self::Inside { close: std::mem::take(&mut span.close), tail: String::new() };
                let mut split = self.push(held[after..].to_owned());
                split.reasoning.insert_str(0, &held[..after]);
                split
            }
        }
    }

    /// The text that was held back.
    pub(super) fn finish(&mut self) -> String {
        match self {
            Self::Before { held, .. } => std::mem::take(held),
            Self::Inside { .. } | Self::After => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is reasoning and what is not, if the text comes in these pieces.
    fn split(pieces: &[String], is_open: bool) -> (String, String) {
        let span = ReasoningSpan { open: "<think>".to_owned(), close: "</think>".to_owned(), is_open };
        let mut state = Reasoning::new(Some(&span));
        let mut all = Split::default();
        for piece in pieces {
            let split = state.push(piece.clone());
            all.reasoning.push_str(&split.reasoning);
            all.rest.push_str(&split.rest);
        }
        all.rest.push_str(&state.finish());
        (all.reasoning, all.rest)
    }

    #[test]
    fn the_reasoning_ends_at_its_tag() {
        let cases = [
            ("\n<think>é END</think>END", false, "\n<think>é END</think>", "END"),
            ("END<think></think>", false, "", "END<think></think>"),
            ("a</think>b</think>", true, "a</think>", "b</think>"),
            ("<thin", false, "", "<thin"),
            ("<think>", false, "<think>", ""),
        ];
        for (text, is_open, reasoning, rest) in cases {
            assert_eq!(split(&[text.to_owned()], is_open), (reasoning.to_owned(), rest.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_cut_does_not_matter(text in "[ ]?(<think>)?(<|/|think>|é|a|</think>){0,9}", is_open: bool, size in 1..5_usize) {
            let characters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = characters.chunks(size).map(|piece| piece.iter().collect()).collect();
            let whole = split(std::slice::from_ref(&text), is_open);
            prop_assert_eq!(format!("{}{}", whole.0, whole.1), text);
            prop_assert_eq!(split(&pieces, is_open), whole);
        }
    }
}
