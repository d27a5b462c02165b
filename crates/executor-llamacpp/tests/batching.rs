//! The answers to fifty prompts are the same alone and in batches of eight.
//!
//! llama.cpp may use other kernels for other batch sizes, so two answers may diverge at a
//! tie, but nowhere else.

mod support;

use hostler_executor::{ModelExecutor, Sequence};
use hostler_protocol::Token;

const PROMPTS: usize = 50;
const ANSWER_TOKENS: u32 = 40;
const BATCH: usize = 8;

#[test]
fn fifty_answers_are_the_same_alone_and_in_batches() {
    let Some(factory) = support::factory("answers in batches") else { return };
    let executor = hostler_executor::ExecutorFactory::load(&factory, &()).expect("the model loads");
    let prompts: Vec<Sequence> = (0..PROMPTS).map(|index| prompt(&*executor, index)).collect();
    let alone: Vec<Vec<Token>> = prompts.iter().map(|prompt| support::run(&*executor, prompt.clone()).0).collect();
    let mut diverged = 0;
    for (batch, alone) in prompts.chunks(BATCH).zip(alone.chunks(BATCH)) {
        let streams: Vec<_> = batch.iter().map(|prompt| executor.generate(prompt.clone())).collect();
        for (stream, alone) in streams.into_iter().zip(alone) {
            let (batched, _) = support::finished(stream);
            assert_eq!(batched.len(), alone.len());
            diverged += usize::from(support::diverge_at_a_tie(alone, &batched));
        }
    }
    eprintln!("{} of {PROMPTS} answers are equal, {diverged} diverge at a tie", PROMPTS - diverged);
    assert!(diverged <= PROMPTS / 5, "{diverged} answers diverge, more than ties can explain");
}

fn prompt(executor: &dyn ModelExecutor, index: usize) -> Sequence {
    const THINGS: [&str; 10] =
        ["rivers", "bread", "the moon", "bicycles", "old maps", "rain", "chess", "glass", "whales", "trains"];
    const ASKS: [&str; 5] = [
        "Write a short story about",
        "Explain to a child what is known of",
        "List five facts about",
        "Once upon a time there were",
        "The most important thing to know about",
    ];
    let text = format!("{} {}", ASKS[index / THINGS.len()], THINGS[index % THINGS.len()]);
    let mut sequence = Sequence::greedy(support::encode(executor, &text), ANSWER_TOKENS);
    sequence.stop.ignore_eos = true;
    sequence.top_logprobs = Some(support::ALTERNATIVES);
    sequence
}
