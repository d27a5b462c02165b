//! The answers to many prompts are the same alone and in batches of eight.
//!
//! `HOSTLER_BATCHED_PROMPTS` is their number, at most 50; 16 if unset, because a CPU needs
//! seconds for each.
//!
//! llama.cpp may use other kernels for other batch sizes, so two answers may diverge at a
//! tie, but nowhere else.

mod support;

use hostler_executor::{ModelExecutor, Sequence};
use hostler_protocol::Token;

/// Prompts that are asked by default, and those there are.
const PROMPTS: usize = 16;
const PROMPTS_MAX: usize = 50;
const ANSWER_TOKENS: u32 = 40;
const BATCH: usize = 8;

#[test]
fn answers_are_the_same_alone_and_in_batches() {
    let Some(factory) = support::factory("answers in batches") else { return };
    let executor = hostler_executor::ExecutorFactory::load(&factory, &()).expect("the model loads");
    let count = std::env::var("HOSTLER_BATCHED_PROMPTS").map_or(PROMPTS, |count| count.parse().expect("a number"));
    assert!((BATCH..=PROMPTS_MAX).contains(&count), "HOSTLER_BATCHED_PROMPTS: {BATCH} to {PROMPTS_MAX} are possible");
    let prompts: Vec<Sequence> = (0..count).map(|index| prompt(&*executor, index)).collect();
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
    eprintln!("{} of {count} answers are equal, {diverged} diverge at a tie", count - diverged);
    assert!(diverged <= count / 5, "{diverged} answers diverge, more than ties can explain");
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
    let text = format!("{} {}", ASKS[index % ASKS.len()], THINGS[index / ASKS.len()]);
    let mut sequence = Sequence::greedy(support::encode(executor, &text), ANSWER_TOKENS);
    sequence.stop.ignore_eos = true;
    sequence.top_logprobs = Some(support::ALTERNATIVES);
    sequence
}
