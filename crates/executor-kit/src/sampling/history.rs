//! Repetition, presence and frequency penalties.
//!
//! Presence and frequency count the answer only, as in OpenAI's API; repetition counts
//! prompt and answer, as in vLLM.

use std::collections::{HashMap, HashSet};

use hostler_protocol::{SamplingParams, TokenId};

/// The tokens of one sequence so far.
#[derive(Clone, Debug)]
pub(crate) struct History {
    prompt: HashSet<TokenId>,
    /// How often each token occurs in the answer.
    answer: HashMap<TokenId, u32>,
}

impl History {
    /// Whether the request has any penalty.
    pub(crate) fn needed(params: &SamplingParams) -> bool {
        params.repetition_penalty != 1.0 || params.presence_penalty != 0.0 || params.frequency_penalty != 0.0
    }

    pub(crate) fn new(prompt: &[TokenId], answered: &[TokenId]) -> Self {
        let mut history = Self { prompt: prompt.iter().copied().collect(), answer: HashMap::new() };
        for &id in answered {
            history.add(id);
        }
        history
    }

    /// Adds a token of the answer.
    pub(crate) fn add(&mut self, id: TokenId) {
        *self.answer.entry(id).or_default() += 1;
    }

    /// Lowers the logits of the tokens in the history.
    pub(crate) fn penalise(&self, params: &SamplingParams, logits: &mut [f32]) {
        let repetition = params.repetition_penalty;
        if repetition != 1.0 {
            let only_prompt = self.prompt.iter().filter(|id| !self.answer.contains_key(id));
            for &id in only_prompt.chain(self.answer.keys()) {
                let logit = &mut logits[id as usize];
                // Multiplying lowers a negative logit.
                *logit = if *logit > 0.0 { *logit / repetition } else { *logit * repetition };
            }
        }
        for (&id, &count) in &self.answer {
            logits[id as usize] -= params.presence_penalty + params.frequency_penalty * count as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_counts_prompt_and_answer_and_the_others_only_the_answer() {
        let history = History::new(&[0, 1, 3], &[1, 2, 2]);
        let params = SamplingParams {
            repetition_penalty: 2.0,
            presence_penalty: 0.5,
            frequency_penalty: 0.25,
            ..SamplingParams::default()
        };
        let mut logits = [4.0, 4.0, -4.0, -4.0, 4.0];
        history.penalise(&params, &mut logits);
        assert_eq!(logits, [2.0, 2.0 - 0.75, -8.0 - 1.0, -8.0, 4.0]);
    }

    #[test]
    fn history_is_only_needed_for_penalties() {
        assert!(!History::needed(&SamplingParams::default()));
        assert!(History::needed(&SamplingParams { presence_penalty: -0.1, ..SamplingParams::default() }));
    }
}
