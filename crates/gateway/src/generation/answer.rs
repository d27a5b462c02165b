//! Answers that are returned as a whole, and the token counts of answers of either kind.

use hostler_protocol::{Finish, FinishReason, RequestError, Timings, Token, TokenEvent, TokenId, Usage};
use serde::Serialize;

use super::labels::{LabelledToken, label};
use super::parts::{Message, PartReader};
use super::start::StartedGeneration;
use crate::http::context::RequestContext;
use crate::http::state::AppState;
use crate::http::timing::{ServerTiming, longest};

/// One complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<TokenId>,
    /// Empty unless log probabilities were requested.
    pub(crate) labelled: Vec<LabelledToken>,
    /// The parts of the text, for endpoints that read them.
    pub(crate) message: Message,
    pub(crate) reason: FinishReason,
    /// The stop sequence that ended it, if one did.
    pub(crate) stop_sequence: Option<String>,
}

/// What one choice has generated so far.
#[derive(Default)]
struct CollectedChoice {
    text: String,
    tokens: Vec<Token>,
    /// From its first event on, if its parts are read.
    reader: Option<PartReader>,
    message: Message,
    finish: Option<Finish>,
}

/// Waits until every choice has ended.
///
/// # Errors
/// The first failure of any choice.
pub(crate) async fn collect(
    state: &AppState,
    context: &RequestContext,
    mut started: StartedGeneration,
) -> Result<(Vec<Answer>, Tally), RequestError> {
    let mut collected: Vec<CollectedChoice> =
        std::iter::repeat_with(CollectedChoice::default).take(started.choices).collect();
    let mut tally = Tally::new(started.choices, started.n);
    let mut next = started.first.take();
    while let Some((index, event)) = next {
        let choice = &mut collected[index];
        if choice.reader.is_none() && choice.finish.is_none() {
            choice.reader = started.part_reader(index);
        }
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => {
                context.count_token();
                choice.text.push_str(&token.text);
                let parts = choice.reader.as_mut().map(|reader| reader.token(&token.text));
                choice.message.extend(parts.unwrap_or_default());
                choice.tokens.push(token);
            }
            TokenEvent::Finished(finish) => {
                choice.text.push_str(&finish.text);
                let reader = choice.reader.take();
                let (parts, summary) = reader.map(|reader| reader.finish(&finish.text)).unwrap_or_default();
                choice.message.extend(parts);
                tally.end(index, &finish);
                tally.reasoned(summary.reasoning_tokens);
                choice.finish = Some(finish);
            }
            TokenEvent::Failed(error) => return Err(error),
        }
        next = started.running.next().await;
    }
    context.timing.set(Some(ServerTiming::finished(&tally.timings(), context.elapsed())));
    let mut answers = Vec::with_capacity(collected.len());
    for CollectedChoice { text, tokens, message, finish, .. } in collected {
        let labelled = label(&state.router, &started.model, &tokens).await?;
        let (reason, stop_sequence) =
            finish.map_or((FinishReason::Stop, None), |finish| (finish.reason, finish.stop_sequence));
        let tokens = tokens.iter().map(|token| token.id).collect();
        answers.push(Answer { text, tokens, labelled, message, reason, stop_sequence });
    }
    Ok((answers, tally))
}

/// `usage`, in OpenAI's shape.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct UsageBody {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: PromptTokensDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_tokens_details: Option<CompletionTokensDetails>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CompletionTokensDetails {
    reasoning_tokens: u32,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct PromptTokensDetails {
    cached_tokens: u32,
}

/// The token counts and timings of the choices that have ended.
pub(crate) struct Tally {
    /// Answers per prompt.
    n: u32,
    ended: Vec<Option<(Usage, Timings)>>,
    /// Of all answers.
    reasoning_tokens: u32,
}

impl Tally {
    pub(crate) fn new(choices: usize, n: u32) -> Self {
        Self { n, ended: vec![None; choices], reasoning_tokens: 0 }
    }

    pub(crate) fn end(&mut self, choice: usize, finish: &Finish) {
        self.ended[choice] = Some((finish.usage, finish.timings));
    }

    /// Adds the tokens of an answer's reasoning.
    pub(crate) fn reasoned(&mut self, tokens: u32) {
        self.reasoning_tokens += tokens;
    }

    /// Tokens of the reasoning, of all answers.
    pub(crate) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.ended.iter().all(Option::is_some)
    }

    /// The counts of all choices. Each prompt counts once, however many answers it has; each
    /// answer counts.
    pub(crate) fn total(&self) -> Usage {
        let usages = || self.ended.iter().map(|ended| ended.map_or_else(Usage::default, |(usage, _)| usage));
        let prompts = || usages().step_by(self.n as usize);
        Usage {
            prompt_tokens: prompts().map(|usage| usage.prompt_tokens).sum(),
            cached_tokens: prompts().map(|usage| usage.cached_tokens).sum(),
            completion_tokens: usages().map(|usage| usage.completion_tokens).sum(),
        }
    }

    pub(crate) fn usage(&self) -> UsageBody {
        let Usage { prompt_tokens, cached_tokens, completion_tokens } = self.total();
        UsageBody {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails { cached_tokens },
            completion_tokens_details: (self.reasoning_tokens > 0)
                .then_some(CompletionTokensDetails { reasoning_tokens: self.reasoning_tokens }),
        }
    }

    pub(crate) fn timings(&self) -> Timings {
        longest(self.ended.iter().flatten().map(|&(_, timings)| timings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_counts_once_and_every_answer_counts() {
        let mut tally = Tally::new(4, 2);
        for (choice, prompt_tokens) in [(0, 10), (1, 10), (2, 3), (3, 3)] {
            assert!(!tally.all_ended());
            let usage = Usage { prompt_tokens, cached_tokens: 1, completion_tokens: 5 };
            let timings = Timings::default();
            let (reason, text, stop_sequence) = (FinishReason::Stop, String::new(), None);
            tally.end(choice, &Finish { reason, text, stop_sequence, usage, timings });
        }
        assert!(tally.all_ended());
        let usage = tally.usage();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (13, 20, 33));
        assert_eq!(usage.prompt_tokens_details.cached_tokens, 2);
    }
}
