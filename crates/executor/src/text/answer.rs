//! The answer of one sequence: what each token adds to it, and whether it ends it.

use hostler_protocol::{StopConditions, TokenId};

use super::IncrementalDecoder;
use super::search::{Found, StopSearch};
use crate::TextError;

/// The answer of one sequence, as far as it is generated.
pub struct Answer {
    decoder: Box<dyn IncrementalDecoder>,
    search: StopSearch,
    endings: Endings,
    /// Tokens of the answer so far, those from elsewhere included.
    tokens: u32,
    over: bool,
}

/// What one token means for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the answer, and this text, maybe empty, can be shown now.
    Show(String),
    /// It ends the answer and is no part of it: it is neither sent nor counted.
    /// The text was held back and belongs to the answer: it goes to
    /// [`TokenSink::finish`](crate::TokenSink::finish).
    EndOfSequence(String),
    /// It completed a stop sequence: it is sent, with this text, and counted, and
    /// the answer ends with nothing more to show.
    StopSequence(String),
}

/// The tokens that end an answer.
struct Endings {
    end_of_sequence: Vec<TokenId>,
    stop: Vec<TokenId>,
    ignore_end_of_sequence: bool,
    min_tokens: u32,
}

impl Answer {
    /// The answer of a sequence that stops at `stop`, or at one of the model's
    /// `end_of_sequence` tokens. `answered` are tokens of it that were delivered
    /// by another engine: they count, and what that engine held back of their text
    /// is shown here in its time; the rest of their text is not shown again.
    ///
    /// # Errors
    /// [`TextError::UnknownToken`], for a token of `answered`.
    pub fn new(
        decoder: Box<dyn IncrementalDecoder>,
        stop: &StopConditions,
        end_of_sequence: &[TokenId],
        answered: &[TokenId],
    ) -> Result<Self, TextError> {
        let mut answer = Self {
            decoder,
            search: StopSearch::new(&stop.sequences),
            endings: Endings {
                end_of_sequence: end_of_sequence.to_vec(),
                stop: stop.token_ids.clone(),
                ignore_end_of_sequence: stop.ignore_eos,
                min_tokens: stop.min_tokens,
            },
            tokens: 0,
            over: false,
        };
        for &token in answered {
            if !answer.over {
                answer.append(token)?;
            }
        }
        Ok(answer)
    }

    /// Whether the answer has ended. True from the beginning where the last
    /// `answered` token completed a stop sequence (the other engine died before it
    /// could say so): then the sequence finishes with `Stop` and no token.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the token that the model chose. Not called again once it
    /// [is over](Self::is_over).
    ///
    /// # Errors
    /// [`TextError::UnknownToken`].
    pub fn push(&mut self, token: TokenId) -> Result<Verdict, TextError> {
        debug_assert!(!self.over, "a token was pushed after the end of the answer");
        if self.endings.may_end(self.tokens, token) {
            self.over = true;
            return Ok(Verdict::EndOfSequence(self.flush()));
        }
        self.append(token)
    }

    /// The tokens that must not be sampled next: those that would end the answer
    /// before `min_tokens`, and an end of sequence that is to be ignored. (One
    /// that the request itself names as a stop token is not ignored.) Pushed all
    /// the same, such a token is one like any other.
    pub fn banned(&self) -> impl Iterator<Item = TokenId> + '_ {
        let Endings { end_of_sequence, stop, .. } = &self.endings;
        end_of_sequence.iter().chain(stop).copied().filter(|&token| !self.endings.may_end(self.tokens, token))
    }

    /// Whether [`banned`](Self::banned) names any token: what need not be asked at every step.
    #[must_use]
    pub fn bans_any(&self) -> bool {
        self.banned().next().is_some()
    }

    /// The answer ends without an ending of its own, by its length: what was held
    /// back belongs to it.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.flush()
    }

    fn append(&mut self, token: TokenId) -> Result<Verdict, TextError> {
        let piece = self.decoder.push(token)?;
        self.tokens += 1;
        Ok(match self.search.push(piece) {
            Found::Clear(text) => Verdict::Show(text),
            Found::Match(text) => {
                self.over = true;
                Verdict::StopSequence(text)
            }
        })
    }

    /// The text that was held back. An incomplete character at the end may, as
    /// U+FFFD, still complete a stop sequence.
    fn flush(&mut self) -> String {
        match self.search.push(self.decoder.flush()) {
            Found::Clear(text) => text + &self.search.finish(),
            Found::Match(text) => text,
        }
    }
}

impl Endings {
    /// Whether `token` ends an answer that has `tokens` tokens.
    fn may_end(&self, tokens: u32, token: TokenId) -> bool {
        tokens >= self.min_tokens
            && (self.stop.contains(&token) || !self.ignore_end_of_sequence && self.end_of_sequence.contains(&token))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
