//! The model that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use hostler_executor::{ModelExecutor, Sequence, TokenStream};
use hostler_executor_llamacpp::{LlamacppConfig, LlamacppFactory};
use hostler_protocol::{Finish, ModelId, Token, TokenEvent, TokenId};

/// A factory for the model in `HOSTLER_TEST_MODEL`. Without that variable, prints that
/// `test` is skipped.
pub(crate) fn factory(test: &str) -> Option<LlamacppFactory> {
    config(test).map(LlamacppFactory::new)
}

/// The same with one compute thread, for tests that run concurrently: with two threads
/// per model, they would mostly wait for each other.
pub(crate) fn one_thread_factory(test: &str) -> Option<LlamacppFactory> {
    config(test).map(|config| LlamacppFactory::new(LlamacppConfig { threads: Some(1), ..config }))
}

fn config(test: &str) -> Option<LlamacppConfig> {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: {test}: HOSTLER_TEST_MODEL is not set");
        return None;
    };
    Some(LlamacppConfig::new(ModelId::new("test-model"), path))
}

/// The tokens and the `Finished` event of a sequence that must finish.
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
    panic!("a stream ended without a final event");
}

/// Runs one sequence alone.
pub(crate) fn run(executor: &dyn ModelExecutor, sequence: Sequence) -> (Vec<Token>, Finish) {
    finished(executor.generate(sequence))
}

/// Tokens of a text.
pub(crate) fn encode(executor: &dyn ModelExecutor, text: &str) -> Vec<TokenId> {
    executor.text().encode(text, true).expect("it can be tokenized")
}

/// `top_logprobs` of the answers for [`diverge_at_a_tie`].
pub(crate) const ALTERNATIVES: u32 = 8;

/// Two tokens are tied if their log probabilities differ by less than this.
const TIE: f32 = 0.3;

/// Whether two greedy answers to the same prompt diverge, which they may only do at a tie.
///
/// llama.cpp processes one token, a batch and a long prompt with different kernels, which
/// sum in different orders and partly in 16 bits, on activations rounded to 8 bits. So the
/// log probabilities of the same context differ by about 0.05, rarely by more than 0.1
/// (measured on the demo model in Q8_0), which can decide between tokens that are closer
/// than that. A fault in the engine is different: the answers diverge although one token
/// is clearly the likeliest. Both answers need [`ALTERNATIVES`].
///
/// # Panics
/// If they diverge where there is no tie.
pub(crate) fn diverge_at_a_tie(left: &[Token], right: &[Token]) -> bool {
    let Some(place) = left.iter().zip(right).position(|(left, right)| left.id != right.id) else {
        assert_eq!(left.len(), right.len());
        return false;
    };
    let (left, right) = (&left[place], &right[place]);
    for (token, other) in [(left, right), (right, left)] {
        let logprob = token.logprob.as_ref().expect("log probabilities were requested");
        let other = logprob.top.iter().find(|(id, _)| *id == other.id);
        let behind = other.map_or(f32::INFINITY, |(_, other)| logprob.logprob - other);
        eprintln!("two answers diverge at token {place}, where the other one was {behind:.3} less likely");
        assert!(behind < TIE, "the answers diverge without a tie: {:?}", logprob.top);
    }
    true
}
