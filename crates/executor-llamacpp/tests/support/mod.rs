//! The model that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use hostler_executor::{ModelExecutor, Sequence, TokenStream};
use hostler_executor_llamacpp::{LlamacppConfig, LlamacppFactory};
use hostler_protocol::{Finish, ModelId, Token, TokenEvent, TokenId};

/// A factory for the model that `HOSTLER_TEST_MODEL` names. Without it, `test` is
/// skipped, aloud.
pub(crate) fn factory(test: &str) -> Option<LlamacppFactory> {
    config(test).map(LlamacppFactory::new)
}

/// The same on one thread: for tests of which several run at once. Two threads a
/// model would wait for each other more than they compute.
pub(crate) fn one_thread_factory(test: &str) -> Option<LlamacppFactory> {
    config(test).map(|config| LlamacppFactory::new(LlamacppConfig { threads: Some(1), ..config }))
}

fn config(test: &str) -> Option<LlamacppConfig> {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: {test}: HOSTLER_TEST_MODEL names no GGUF file");
        return None;
    };
    Some(LlamacppConfig::new(ModelId::new("test-model"), path))
}

/// The tokens and the end of a sequence that must finish.
pub(crate) fn finished(mut stream: TokenStream) -> (Vec<Token>, Finish) {
    let mut tokens = Vec::new();
    while let Some(event) = stream.blocking_next_event() {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => tokens.push(token),
            TokenEvent::Finished(finish) => return (tokens, finish),
            TokenEvent::Failed(error) => panic!("a sequence failed: {error}"),
        }
    }
    panic!("a stream ended without an end");
}

/// Runs one sequence with nothing beside it.
pub(crate) fn run(executor: &dyn ModelExecutor, sequence: Sequence) -> (Vec<Token>, Finish) {
    finished(executor.generate(sequence))
}

/// Tokens of a text.
pub(crate) fn encode(executor: &dyn ModelExecutor, text: &str) -> Vec<TokenId> {
    executor.text().encode(text, true).expect("it can be tokenized")
}

/// How many alternatives [`part_at_a_tie`] must be able to see.
pub(crate) const ALTERNATIVES: u32 = 8;

/// Logarithms of the probabilities of two tokens that are as good as equal differ by less.
const TIE: f32 = 0.3;

/// Whether two greedy answers to one prompt part, which they may do only where the
/// model found two tokens as good as equal.
///
/// llama.cpp reads one token, a batch and a long prompt by different kernels, which
/// add in another order and partly in 16 bits, on activations rounded to 8 bits. So
/// the same context gives log probabilities that differ by about a twentieth, rarely
/// by more than a tenth (measured on the demo model in Q8_0), and a choice between
/// tokens that are nearer to each other than that may differ too. A fault looks
/// different: the text turns into another one although the model was sure. Both
/// answers need [`ALTERNATIVES`].
///
/// # Panics
/// Where they part although the model was sure.
pub(crate) fn part_at_a_tie(left: &[Token], right: &[Token]) -> bool {
    let Some(place) = left.iter().zip(right).position(|(left, right)| left.id != right.id) else {
        assert_eq!(left.len(), right.len());
        return false;
    };
    let (left, right) = (&left[place], &right[place]);
    for (token, other) in [(left, right), (right, left)] {
        let logprob = token.logprob.as_ref().expect("log probabilities were asked for");
        let other = logprob.top.iter().find(|(id, _)| *id == other.id);
        let behind = other.map_or(f32::INFINITY, |(_, other)| logprob.logprob - other);
        eprintln!("two answers part at their token {place}, where the other one was {behind:.3} behind");
        assert!(behind < TIE, "the model was sure, and still chose otherwise: {:?}", logprob.top);
    }
    true
}
