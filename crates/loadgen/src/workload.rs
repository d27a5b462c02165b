//! What is requested: prompts and answer lengths, reproducible from a seed.

mod length;
mod prompts;
mod trace;
mod words;

pub use length::{Length, LengthError};
pub use prompts::{PromptFileError, Prompts};
pub use trace::{Trace, TraceRow};
pub use words::sha256;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The requests of a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// The prompts.
    pub prompts: Prompts,
    /// Output tokens of each answer: the maximum or, with `exact_length`, the exact number.
    pub output_tokens: Length,
    /// Whether the target is asked to continue after an end-of-sequence token
    /// (`ignore_eos`), so that every answer has the requested length.
    pub exact_length: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// Seed of everything random above.
    pub seed: u64,
    /// Which clients disconnect before the end of their answer; `None`: no client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<EarlyDisconnect>,
    /// Selects the words of random prompts. Each target gets its own salt: prompts of the
    /// same lengths but other words, so that no target profits from a prefix that another
    /// one has just cached.
    #[serde(skip)]
    pub salt: u64,
}

/// Clients that disconnect before their answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyDisconnect {
    /// Share of the clients that disconnect, 0 to 1.
    pub share: f64,
    /// They disconnect after this number of tokens, or pieces of text.
    pub after_tokens: Length,
}

impl EarlyDisconnect {
    /// After how many tokens this client disconnects, if it does.
    fn draw(self, random: &mut impl Rng) -> Option<u32> {
        (random.random::<f64>() < self.share).then(|| self.after_tokens.draw(random))
    }
}

/// An earlier turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The user's message.
    pub prompt: String,
    /// The model's answer.
    pub answer: String,
}

/// One request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Index in the workload, from 0.
    pub index: u64,
    /// Earlier turns, if this is a later turn of a conversation.
    pub history: Vec<Turn>,
    /// The prompt.
    pub prompt: String,
    /// Most output tokens; at least 1.
    pub max_tokens: u32,
    /// Whether the answer must have exactly `max_tokens` tokens.
    pub exact_length: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// The client disconnects after this number of tokens.
    pub disconnect_after: Option<u32>,
    /// Whether the answer's text is kept for the next turn.
    pub keeps_answer: bool,
}

impl Workload {
    /// The request at `index`. It depends only on the seed and the index, so requests can
    /// be generated in any order and by any number of workers.
    #[must_use]
    pub fn job(&self, index: u64) -> Job {
        let mut lengths = stream(self.seed, index);
        let words_seed = self.seed ^ self.salt.wrapping_mul(SALT_SPREAD);
        let max_tokens = self.output_tokens.draw(&mut lengths);
        let prompt = self.prompts.draw(index, words_seed, &mut lengths, &mut stream(words_seed, index));
        let disconnect_after = self.leaving.and_then(|leaving| leaving.draw(&mut lengths));
        Job {
            index,
            history: Vec::new(),
            prompt,
            max_tokens: self.prompts.answer_tokens(index).unwrap_or(max_tokens),
            exact_length: self.exact_length,
            temperature: self.temperature,
            disconnect_after,
            keeps_answer: self.turns() > 1,
        }
    }

    /// Requests of one conversation. Each but the first is sent when the previous one has
    /// been answered, and contains the whole conversation so far.
    #[must_use]
    pub fn turns(&self) -> u64 {
        match self.prompts {
            Prompts::Conversation { turns, .. } => u64::from(turns.max(1)),
            _ => 1,
        }
    }

    /// The trace that is replayed, if one is.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        match &self.prompts {
            Prompts::Trace(trace) => Some(trace),
            _ => None,
        }
    }

    /// Most output tokens of any request.
    #[must_use]
    pub fn answer_tokens_max(&self) -> u32 {
        self.trace().map_or(self.output_tokens.max(), Trace::answer_tokens_max)
    }

    /// The same workload with other words in random prompts.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        Self { salt, ..self }
    }

    /// The same workload with other random choices, for another round: a prefix cache must
    /// not serve a round from the previous one.
    #[must_use]
    pub fn reseeded(&self, round: u32) -> Self {
        Self { seed: self.seed.wrapping_add(u64::from(round)), ..self.clone() }
    }
}

impl Job {
    /// The history and the prompt as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for turn in &self.history {
            text.push_str(&turn.prompt);
            text.push_str(&turn.answer);
        }
        text.push_str(&self.prompt);
        text
    }
}

/// Spreads small salts over all bits, so that a salted seed differs from the seed of
/// another round: the odd number nearest to 2⁶⁴ over the golden ratio (D. E. Knuth,
/// "The Art of Computer Programming", volume 3, section 6.4).
const SALT_SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The random stream of one request.
fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    random
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(prompts: Prompts) -> Workload {
        let output_tokens = Length::between(10, 100).expect("10 to 100 is a range");
        Workload { prompts, output_tokens, exact_length: true, temperature: 0.7, seed: 7, leaving: None, salt: 0 }
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_in_any_order() {
        let work = workload(Prompts::Synthetic { tokens: Length::between(10, 200).expect("a range") });
        let forwards: Vec<Job> = (0..50).map(|index| work.job(index)).collect();
        let mut backwards: Vec<Job> = (0..50).rev().map(|index| work.job(index)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn another_round_sends_other_prompts() {
        let work = workload(Prompts::Synthetic { tokens: Length::fixed(50).expect("a length") });
        assert_ne!(work.job(0).prompt, work.job(1).prompt);
        assert_ne!(work.job(0).prompt, work.reseeded(1).job(0).prompt);
    }

    #[test]
    fn another_salt_changes_the_words_but_not_the_lengths() {
        let work = workload(Prompts::Synthetic { tokens: Length::between(10, 200).expect("a range") });
        let other = work.clone().salted(1);
        for index in 0..20 {
            let (one, two) = (work.job(index), other.job(index));
            assert_ne!(one.prompt, two.prompt);
            assert_eq!(one.prompt.split(' ').count(), two.prompt.split(' ').count());
            assert_eq!(one.max_tokens, two.max_tokens);
        }
    }

    #[test]
    fn the_configured_share_of_clients_disconnects() {
        let after_tokens = Length::between(1, 9).expect("a range");
        let mut work = workload(Prompts::Fixed { text: "x".to_owned() });
        work.leaving = Some(EarlyDisconnect { share: 0.25, after_tokens });
        let after: Vec<u32> = (0..4000).filter_map(|index| work.job(index).disconnect_after).collect();
        // The standard deviation of the count is √(4000 · ¼ · ¾) = 27: five of them.
        assert!((860..1140).contains(&after.len()), "{}", after.len());
        assert!(after.iter().all(|tokens| (1..=9).contains(tokens)));
    }

    #[test]
    fn a_shared_prefix_is_shared_within_a_group_only() {
        let work = workload(Prompts::SharedPrefix {
            prefix_tokens: 40,
            groups: 2,
            tokens: Length::fixed(10).expect("a length"),
        });
        let prefix = |index| work.job(index).prompt.split(' ').take(40).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(prefix(0), prefix(2));
        assert_ne!(prefix(0), prefix(1));
        assert_ne!(work.job(0).prompt, work.job(2).prompt);
        assert_eq!(work.job(3).prompt.split(' ').count(), 50);
    }
}
