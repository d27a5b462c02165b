//! The model that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use hostler_executor::{ModelExecutor, Sequence, TokenStream};
use hostler_executor_llamacpp::{LlamacppConfig, LlamacppFactory};
use hostler_protocol::{Finish, ModelId, Token, TokenEvent, TokenId};

/// A factory for the model that `HOSTLER_TEST_MODEL` names. Without it, `test` is
/// skipped, aloud.
pub(crate) fn factory(test: &str) -> Option<LlamacppFactory> {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: {test}: HOSTLER_TEST_MODEL names no GGUF file");
        return None;
    };
    Some(LlamacppFactory::new(LlamacppConfig::new(ModelId::new("test-model"), path)))
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
