//! Answers that are returned as a whole, and the token counts of answers of either kind.

use hostler_protocol::{Finish, FinishReason, RequestError, Timings, Token, TokenEvent, TokenId, Usage};
use serde::Serialize;

use super::labels::{LabelledToken, label};
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
    pub(crate) reason: FinishReason,
}

/// What one choice has generated so far.
#[derive(Default)]
struct CollectedChoice {
    text: String,
    tokens: Vec<Token>,
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
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => {
                context.count_token();
                choice.text.push_str(&token.text);
                choice.tokens.push(token);
            }
            TokenEvent::Finished(finish) => {
                choice.text.push_str(&finish.text);
                tally.end(index, &finish);
                choice.finish = Some(finish);
            }
            TokenEvent::Failed(error) => return Err(error),
        }
        next = started.running.next().await;
    }
    context.timing.set(Some(ServerTiming::finished(&tally.timings(), context.elapsed())));
    let mut answers = Vec::with_capacity(collected.len());
    for CollectedChoice { text, tokens, finish } in collected {
        let labelled = label(&state.router, &started.model, &tokens).await?;
        let reason = finish.map_or(FinishReason::Stop, |finish| finish.reason);
        let tokens = tokens.iter().map(|token| token.id).collect();
        answers.push(Answer { text, tokens, labelled, reason });
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
}

impl Tally {
    pub(crate) fn new(choices: usize, n: u32) -> Self {
        Self { n, ended: vec![None; choices] }
    }

    pub(crate) fn end(&mut self, choice: usize, finish: &Finish) {
        self.ended[choice] = Some((finish.usage, finish.timings));
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.ended.iter().all(Option::is_some)
    }

    /// Each prompt counts once, however many answers it has; each answer counts.
    pub(crate) fn usage(&self) -> UsageBody {
        let usages = || self.ended.iter().map(|ended| ended.map_or_else(Usage::default, |(usage, _)| usage));
        let prompts = || usages().step_by(self.n as usize);
        let prompt_tokens: u32 = prompts().map(|usage| usage.prompt_tokens).sum();
        let completion_tokens: u32 = usages().map(|usage| usage.completion_tokens).sum();
        UsageBody {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptTokensDetails {
                cached_tokens: prompts().map(|usage| usage.cached_tokens).sum(),
            },
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
            tally.end(choice, &Finish { reason: FinishReason::Stop, text: String::new(), usage, timings });
        }
        assert!(tally.all_ended());
        let usage = tally.usage();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (13, 20, 33));
        assert_eq!(usage.prompt_tokens_details.cached_tokens, 2);
    }
}
