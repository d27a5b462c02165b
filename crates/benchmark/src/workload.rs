//! What is asked: prompts and answer lengths, the same for the same seed.

mod length;
mod prompts;
mod words;

pub use length::{Length, LengthError};
pub use prompts::{PromptFileError, Prompts};

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
}

/// One request to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its place in the run, from 0.
    pub index: u64,
    /// What the model reads.
    pub prompt: String,
    /// Most tokens that it may write; at least 1.
    pub max_tokens: u32,
    /// Whether it shall write so many precisely.
    pub exact_length: bool,
    /// Sampling temperature, 0 to 2.
    pub temperature: f32,
}

impl Workload {
    /// The request at `index`. It depends on the seed and the index alone, so
    /// requests can be made in any order, and on any number of workers.
    #[must_use]
    pub fn job(&self, index: u64) -> Job {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        let max_tokens = self.output_tokens.draw(&mut random);
        let prompt = self.prompts.draw(index, self.seed, &mut random);
        Job { index, prompt, max_tokens, exact_length: self.exact_length, temperature: self.temperature }
    }

    /// The same work with other random choices: what a repeat is made of, so
    /// that a prefix cache cannot answer it from the repeat before.
    #[must_use]
    pub fn reseeded(&self, round: u32) -> Self {
        Self { seed: self.seed.wrapping_add(u64::from(round)), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(prompts: Prompts) -> Workload {
        let output_tokens = Length::between(10, 100).expect("10 to 100 is a range");
        Workload { prompts, output_tokens, exact_length: true, temperature: 0.7, seed: 7 }
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
