//! What is asked: prompts and answer lengths, the same for the same seed.

mod leaving;
mod length;
mod prompts;
mod trace;
mod words;

pub use leaving::Leaving;
pub use length::{Length, LengthError};
pub(crate) use prompts::sha256;
pub use prompts::{PromptFileError, Prompts};
pub use trace::{Trace, TraceRow};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The work of a benchmark, request by request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// What the model reads.
    pub prompts: Prompts,
    /// How many tokens it writes, at most or, with `exact_length`, precisely.
    pub output_tokens: Length,
    /// Whether the target is asked to go on after an end-of-sequence token
    /// (`ignore_eos`), so that every answer has the length that was asked for.
    pub exact_length: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// Everything random above follows from it.
    pub seed: u64,
    /// How many requests are given up before their end; none, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Whose words these are: contestants get prompts of the same lengths, but of
    /// words of their own, so that none profits from what another has just had cached.
    #[serde(skip)]
    pub salt: u64,
}

/// What was said before in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What the user said.
    pub prompt: String,
    /// What the model answered.
    pub answer: String,
}

/// One request to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its place in the run, from 0.
    pub index: u64,
    /// What was said before, if it is a later turn of a conversation.
    pub history: Vec<Turn>,
    /// What the model reads.
    pub prompt: String,
    /// Most tokens that it may write; at least 1.
    pub max_tokens: u32,
    /// Whether it shall write so many precisely.
    pub exact_length: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
    /// The client leaves after so many tokens.
    pub leaves_after: Option<u32>,
    /// Whether the answer's text is wanted: for the next turn.
    pub keeps_answer: bool,
}

impl Workload {
    /// The request at `index`. It depends on the seed and the index alone, so
    /// requests can be made in any order, and on any number of workers.
    #[must_use]
    pub fn job(&self, index: u64) -> Job {
        let mut lengths = stream(self.seed, index);
        let words_seed = self.seed ^ self.salt.wrapping_mul(SALT_SPREAD);
        let max_tokens = self.output_tokens.draw(&mut lengths);
        let prompt = self.prompts.draw(index, words_seed, &mut lengths, &mut stream(words_seed, index));
        let leaves_after = self.leaving.and_then(|leaving| leaving.draw(&mut lengths));
        Job {
            index,
            history: Vec::new(),
            prompt,
            max_tokens: self.prompts.answer_tokens(index).unwrap_or(max_tokens),
            exact_length: self.exact_length,
            temperature: self.temperature,
            leaves_after,
            keeps_answer: self.turns() > 1,
        }
    }

    /// Requests of one conversation: each but the first is sent when the one before
    /// has been answered, and carries all that was said.
    #[must_use]
    pub fn turns(&self) -> u64 {
        match self.prompts {
            Prompts::Conversation { turns, .. } => u64::from(turns.max(1)),
            _ => 1,
        }
    }

    /// The trace that the requests come from, if they do.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        match &self.prompts {
            Prompts::Trace(trace) => Some(trace),
            _ => None,
        }
    }

    /// The most tokens that an answer may have.
    #[must_use]
    pub fn answer_tokens_max(&self) -> u32 {
        self.trace().map_or(self.output_tokens.max(), Trace::answer_tokens_max)
    }

    /// The same work in other words.
    #[must_use]
    pub fn salted(self, salt: u64) -> Self {
        Self { salt, ..self }
    }

    /// The same work with other random choices: what a repeat is made of, so
    /// that a prefix cache cannot answer it from the repeat before.
    #[must_use]
    pub fn reseeded(&self, round: u32) -> Self {
        Self { seed: self.seed.wrapping_add(u64::from(round)), ..self.clone() }
    }
}

impl Job {
    /// All that the model reads, as one text.
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

/// Spreads small salts over all bits, so that a salted seed is not the seed of
/// another round: the odd number nearest to 2⁶⁴ over the golden ratio (D. E. Knuth,
/// "The Art of Computer Programming", volume 3, section 6.4).
const SALT_SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

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
    fn the_same_seed_gives_the_same_work_in_any_order() {
        let work = workload(Prompts::Synthetic { tokens: Length::between(10, 200).expect("a range") });
        let forwards: Vec<Job> = (0..50).map(|index| work.job(index)).collect();
        let mut backwards: Vec<Job> = (0..50).rev().map(|index| work.job(index)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn another_round_asks_something_else() {
        let work = workload(Prompts::Synthetic { tokens: Length::fixed(50).expect("a length") });
        assert_ne!(work.job(0).prompt, work.job(1).prompt);
        assert_ne!(work.job(0).prompt, work.reseeded(1).job(0).prompt);
    }

    #[test]
    fn contestants_get_other_words_of_the_same_lengths() {
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
    fn about_the_share_that_was_asked_for_leaves() {
        let after_tokens = Length::between(1, 9).expect("a range");
        let mut work = workload(Prompts::Fixed { text: "x".to_owned() });
        work.leaving = Some(Leaving { share: 0.25, after_tokens });
        let leaving: Vec<u32> = (0..4000).filter_map(|index| work.job(index).leaves_after).collect();
        // The standard deviation of the count is √(4000 · ¼ · ¾) = 27: five of them.
        assert!((860..1140).contains(&leaving.len()), "{}", leaving.len());
        assert!(leaving.iter().all(|tokens| (1..=9).contains(tokens)));
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
