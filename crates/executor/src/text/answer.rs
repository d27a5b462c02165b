//! The answer of one sequence: the text that each token adds, and when the answer ends.

use hostler_protocol::{StopConditions, TokenId};

use super::IncrementalDecoder;
use super::reasoning::{Reasoning, Split};
use super::search::{Found, StopSearch};
use crate::TextError;

/// The answer of one sequence, as far as it has been generated.
pub struct Answer {
    decoder: Box<dyn IncrementalDecoder>,
    reasoning: Reasoning,
    search: StopSearch,
    endings: Endings,
    /// Tokens of the answer so far, including those from a previous engine.
    tokens: u32,
    over: bool,
}

/// What one token means for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The token belongs to the answer; this text, possibly empty, can be sent now.
    Show(String),
    /// The token ends the answer and is not part of it: it is neither sent nor
    /// counted. The text is the held-back rest of the answer; pass it to
    /// [`TokenSink::finish`](crate::TokenSink::finish).
    EndOfSequence(String),
    /// The token completed a stop sequence: send it with this text and count it; the
    /// answer ends without further text.
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
    /// The answer of a sequence that stops at `stop` or at one of the model's
    /// `end_of_sequence` tokens. `answered` are the tokens that another engine has
    /// already delivered: they are counted, and the text of them that the other
    /// engine had held back is returned by a later `push`; the text that it had sent
    /// is not returned again.
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
            reasoning: Reasoning::new(stop.reasoning.as_ref().filter(|_| !stop.sequences.is_empty())),
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

    /// Whether the answer has ended. True from the start if the last `answered` token
    /// completed a stop sequence (the other engine failed before it could report
    /// that): the sequence then finishes with `Stop` and no token.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The stop sequence that ended the answer, if one did.
    #[must_use]
    pub fn stop_sequence(&self) -> Option<&str> {
        self.search.matched()
    }

    /// Adds a sampled token. Must not be called after the answer
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
    /// before `min_tokens`, and end-of-sequence tokens under `ignore_eos` (except
    /// those that the request names as stop tokens). If such a token is pushed all the
    /// same, it is an ordinary token.
    pub fn banned(&self) -> impl Iterator<Item = TokenId> + '_ {
        let Endings { end_of_sequence, stop, .. } = &self.endings;
        end_of_sequence.iter().chain(stop).copied().filter(|&token| !self.endings.may_end(self.tokens, token))
    }

    /// Whether [`banned`](Self::banned) yields any token.
    #[must_use]
    pub fn bans_any(&self) -> bool {
        self.banned().next().is_some()
    }

    /// Ends an answer that reached its length limit, and returns the held-back text.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.flush()
    }

    fn append(&mut self, token: TokenId) -> Result<Verdict, TextError> {
        let piece = self.decoder.push(token)?;
        self.tokens += 1;
        let Split { reasoning, rest } = self.reasoning.push(piece);
        Ok(match self.search.push(rest) {
            Found::Clear(text) => Verdict::Show(reasoning + &text),
            Found::Match(text) => {
                self.over = true;
                Verdict::StopSequence(reasoning + &text)
            }
        })
    }

    /// The held-back text. An incomplete character at the end becomes U+FFFD, which
    /// may still complete a stop sequence.
    fn flush(&mut self) -> String {
        let Split { reasoning, rest } = self.reasoning.push(self.decoder.flush());
        match self.search.push(rest + &self.reasoning.finish()) {
            Found::Clear(text) => reasoning + &text + &self.search.finish(),
            Found::Match(text) => reasoning + &text,
        }
    }
}

impl Endings {
    /// Whether `token` ends an answer of `tokens` tokens.
    fn may_end(&self, tokens: u32, token: TokenId) -> bool {
        tokens >= self.min_tokens
            && (self.stop.contains(&token) || !self.ignore_end_of_sequence && self.end_of_sequence.contains(&token))
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
