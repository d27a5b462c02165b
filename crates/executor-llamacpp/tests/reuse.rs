//! The reuse of keys and values does not change answers, except at ties (see
//! [`support::diverge_at_a_tie`]).

mod support;

use hostler_executor::{ExecutorFactory, ModelExecutor, Sequence};
use hostler_protocol::{Finish, Token, TokenId};

const SHARED: &str = "The harbour master kept a book in which every ship was entered with its name, its home port, \
    its cargo and the day on which it had come. One evening a ship came in that had no name. He asked its captain, \
    and the captain answered that the sea does not read. So the harbour master took his pen and";

fn answer(executor: &dyn ModelExecutor, tokens: &[TokenId]) -> (Vec<Token>, Finish) {
    let mut sequence = Sequence::greedy(tokens, 16);
    sequence.stop.ignore_eos = true;
    sequence.top_logprobs = Some(support::ALTERNATIVES);
    support::run(executor, sequence)
}

#[test]
fn a_shared_prefix_is_reused_and_does_not_change_the_answer() {
    let Some(factory) = support::one_thread_factory("reuse of prefixes") else { return };
    let executor = factory.load(&()).expect("the model loads");
    let shared = support::encode(&*executor, SHARED);
    for ending in [" wrote", " drew", " threw"] {
        let mut tokens = shared.clone();
        tokens.extend(support::encode(&*executor, ending));
        // A fresh engine has nothing to reuse.
        let (expected, fresh) = answer(&*factory.load(&()).expect("the model loads"), &tokens);
        assert_eq!(fresh.usage.cached_tokens, 0);
        answer(&*executor, &shared);
        let (found, finish) = answer(&*executor, &tokens);
        support::diverge_at_a_tie(&expected, &found);
        assert!(finish.usage.cached_tokens as usize >= shared.len() - 1, "{:?}", finish.usage);
    }
}

#[test]
fn the_prefix_of_a_running_sequence_is_copied() {
    let Some(factory) = support::one_thread_factory("reuse of a running sequence's prefix") else { return };
    let executor = factory.load(&()).expect("the model loads");
    let shared = support::encode(&*executor, SHARED);
    let mut long = Sequence::greedy(shared.clone(), 400);
    long.stop.ignore_eos = true;
    let mut first = executor.generate(long);
    while !matches!(first.blocking_next_event(), Some(hostler_protocol::TokenEvent::Token(_))) {}
    let (found, finish) = answer(&*executor, &shared);
    assert_eq!(finish.usage.cached_tokens as usize, shared.len() - 1);
    drop(first);
    support::diverge_at_a_tie(&answer(&*factory.load(&()).expect("the model loads"), &shared).0, &found);
}
