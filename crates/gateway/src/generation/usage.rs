//! Token counts of an answer, in OpenAI's shape.

use hostler_protocol::{Finish, Timings, Usage};
use serde::Serialize;

use crate::timing::longest;

/// `usage`
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

/// What the choices that have ended so far add up to.
pub(crate) struct Tally {
    /// Answers to each prompt.
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

    /// Every prompt counts once, however many answers it has; every answer counts.
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
    use hostler_protocol::FinishReason;

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
