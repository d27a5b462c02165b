//! The models that the tests run on.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;

use hostler_executor::{ModelExecutor, Sequence, TokenStream};
use hostler_executor_mistralrs::{MistralrsConfig, ModelSource};
use hostler_protocol::{Finish, ModelId, RequestError, TokenEvent, TokenId};

/// The model in `HOSTLER_TEST_MODEL`. Without that variable, prints that `test` is skipped.
pub(crate) fn config(test: &str) -> Option<MistralrsConfig> {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: {test}: HOSTLER_TEST_MODEL is not set");
        return None;
    };
    Some(MistralrsConfig::new(ModelId::new("test-model"), ModelSource::Gguf(PathBuf::from(path))))
}

/// A greedy sequence of exactly `tokens` tokens.
pub(crate) fn endless(executor: &dyn ModelExecutor, prompt: &str, tokens: u32) -> Sequence {
    let prompt = executor.text().encode(prompt, true).expect("it can be tokenized");
    let mut sequence = Sequence::greedy(prompt, tokens);
    sequence.stop.ignore_eos = true;
    sequence
}

/// The tokens of a sequence, and how it ended.
pub(crate) fn collect(mut stream: TokenStream) -> (Vec<TokenId>, Result<Finish, RequestError>) {
    let mut tokens = Vec::new();
    loop {
        match stream.blocking_next_event().expect("a stream has a final event") {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => tokens.push(token.id),
            TokenEvent::Finished(finish) => return (tokens, Ok(finish)),
            TokenEvent::Failed(error) => return (tokens, Err(error)),
        }
    }
}
