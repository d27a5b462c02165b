//! Keys and values of ended sequences are reused, and nothing but the time shows it.

mod support;

use hostler_executor::{ExecutorFactory, ModelExecutor, Sequence};
use hostler_protocol::{Finish, TokenId};

const SHARED: &str = "The harbour master kept a book in which every ship was entered with its name, its home port, \
    its cargo and the day on which it had come. One evening a ship came in that had no name. He asked its captain, \
    and the captain answered that the sea does not read. So the harbour master took his pen and";

fn ids(executor: &dyn ModelExecutor, tokens: &[TokenId]) -> (Vec<TokenId>, Finish) {
    let mut sequence = Sequence::greedy(tokens, 16);
    sequence.stop.ignore_eos = true;
    let (tokens, finish) = support::run(executor, sequence);
    (tokens.into_iter().map(|token| token.id).collect(), finish)
}

#[test]
fn a_shared_beginning_is_reused_and_the_answer_stays_the_same() {
    let Some(factory) = support::factory("reuse of prefixes") else { return };
    let executor = factory.load(&()).expect("the model loads");
    let shared = support::encode(&*executor, SHARED);
    for ending in [" wrote", " drew", " threw"] {
        let mut tokens = shared.clone();
        tokens.extend(support::encode(&*executor, ending));
        // A fresh engine has nothing to reuse.
        let (expected, fresh) = ids(&*factory.load(&()).expect("the model loads"), &tokens);
        assert_eq!(fresh.usage.cached_tokens, 0);
        ids(&*executor, &shared);
        let (found, finish) = ids(&*executor, &tokens);
        assert_eq!(found, expected);
        assert!(finish.usage.cached_tokens as usize >= shared.len() - 1, "{:?}", finish.usage);
    }
}

#[test]
fn a_sequence_that_still_runs_is_copied_from() {
    let Some(factory) = support::factory("reuse beside a running sequence") else { return };
    let executor = factory.load(&()).expect("the model loads");
    let shared = support::encode(&*executor, SHARED);
    let mut long = Sequence::greedy(shared.clone(), 400);
    long.stop.ignore_eos = true;
    let mut first = executor.generate(long);
    while !matches!(first.blocking_next_event(), Some(hostler_protocol::TokenEvent::Token(_))) {}
    let (found, finish) = ids(&*executor, &shared);
    assert_eq!(finish.usage.cached_tokens as usize, shared.len() - 1);
    drop(first);
    assert_eq!(found, ids(&*factory.load(&()).expect("the model loads"), &shared).0);
}
