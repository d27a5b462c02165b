//! On a real model: the logits of an answer with a reused prefix equal, bit by bit, those of
//! a fresh engine that processes the prompt in the same chunks. The tests inject faults to
//! show that this comparison finds a single wrong key or value in the reused prefix.
//!
//! They need `HOSTLER_TEST_MODEL`, as the tests in `tests/` do.

use hostler_executor::text::{Answer, IncrementalDecoder};
use hostler_executor::{TextError, TokenStream, token_channel};
use hostler_executor_kit::sampling::Sampler;
use hostler_protocol::{ModelId, SamplingParams, StopConditions, TokenEvent};
use llama_cpp_2::model::LlamaModel;

use super::*;
use crate::LlamacppConfig;
use crate::model;

/// Length of the shared prefix: what an idle engine processes in one step, so that a fresh
/// prompt is split at the end of the reused one.
const SHARED: usize = 256;

const ANSWER: u32 = 8;

/// A fault in the reuse of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The cell at this distance from the end of the prefix belongs to another token, as if
    /// the prefix had been assumed to be one token longer.
    StaleCell(usize),
    /// The first token after the prefix is skipped, as if it were in the cache.
    SkippedToken,
}

/// llama.cpp with an injected fault in the reuse of prefixes; records all logits.
struct Recorder<'model> {
    inner: LlamaForward<'model>,
    fault: Fault,
    /// The tokens that each slot was fed.
    held: Vec<Vec<TokenId>>,
    /// Number of skipped tokens of each slot.
    skipped: Vec<usize>,
    logits: Vec<Vec<u32>>,
}

impl Forward for Recorder<'_> {
    fn feed(&mut self, rows: &[FeedRow<'_>]) -> Result<(), String> {
        let mut faulty = rows.to_vec();
        for row in &mut faulty {
            self.held[row.slot].truncate(row.position);
            self.held[row.slot].extend_from_slice(row.tokens);
            if self.fault == Fault::SkippedToken && row.position == SHARED && self.skipped[row.slot] == 0 {
                self.skipped[row.slot] = 1;
                row.tokens = &row.tokens[1..];
            } else {
                row.position -= self.skipped[row.slot];
            }
        }
        self.inner.feed(&faulty)?;
        for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.wants_logits) {
            self.logits.push(self.inner.logits(index).iter().map(|logit| logit.to_bits()).collect());
        }
        Ok(())
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.inner.logits(row)
    }

    fn truncate(&mut self, slot: usize, length: usize) -> bool {
        self.skipped[slot] = 0;
        self.held[slot].truncate(length);
        if let (Fault::StaleCell(distance), 1..) = (self.fault, length) {
            let at = length - distance;
            assert!(self.inner.truncate(slot, at));
            let mut stale = self.held[slot][at..].to_vec();
            stale[0] += 1;
            let row = FeedRow { slot, position: at, tokens: &stale, wants_logits: false };
            self.inner.feed(&[row]).expect("the pass succeeds");
        }
        self.inner.truncate(slot, length)
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.held[to] = self.held[from].clone();
        self.inner.copy(from, to);
    }
}

/// Decodes every token to an empty text.
struct NoText;

impl IncrementalDecoder for NoText {
    fn push(&mut self, _token: TokenId) -> Result<String, TextError> {
        Ok(String::new())
    }

    fn flush(&mut self) -> String {
        String::new()
    }
}

/// The model, on one thread; `None`, with a message, if `HOSTLER_TEST_MODEL` is not set.
fn loaded(test: &str) -> Option<(LlamacppConfig, LlamaModel)> {
    let Some(path) = std::env::var_os("HOSTLER_TEST_MODEL") else {
        eprintln!("SKIPPED: {test}: HOSTLER_TEST_MODEL is not set");
        return None;
    };
    let config =
        LlamacppConfig { threads: Some(1), max_batch_size: 2, ..LlamacppConfig::new(ModelId::new("test-model"), path) };
    let model = model::load(&config, &|_| {}).expect("the model loads");
    Some((config, model))
}

fn engine<'model>(config: &LlamacppConfig, model: &'model LlamaModel, fault: Fault) -> Engine<Recorder<'model>> {
    let (engine, _) = model::engine(config, model, &|_| {}).expect("there is memory");
    assert_eq!(engine.budget.alone, SHARED, "a fresh prompt must be split where the reused one ends");
    let slots = config.max_batch_size as usize;
    let recorder = Recorder {
        inner: engine.forward,
        fault,
        held: vec![Vec::new(); slots],
        skipped: vec![0; slots],
        logits: Vec::new(),
    };
    Engine::new(recorder, slots, ReusePolicy::SharedPrefix { copy_saves_min: 1 }, engine.budget)
}

/// A text of ordinary words, different for each seed.
fn text(model: &LlamaModel, seed: usize, count: usize) -> Vec<TokenId> {
    const WORDS: [&str; 8] = ["river ", "engine ", "winter ", "garden ", "letter ", "copper ", "window ", "doctor "];
    let words: String = (0..2 * count).map(|at| WORDS[(at * at + at * seed + seed / 3) % WORDS.len()]).collect();
    let tokens = model.vocab().tokenize(words.as_bytes(), false, false);
    tokens.into_iter().take(count).map(|token| token.0.cast_unsigned()).collect()
}

fn submit(engine: &mut Engine<Recorder<'_>>, prompt: &[TokenId], count: u32) -> TokenStream {
    let sequence = Sequence::greedy(prompt, count);
    let (sink, stream) = token_channel(&sequence, None);
    let answer = Answer::new(Box::new(NoText), &StopConditions::default(), &[], &[]).expect("nothing is answered");
    let sampler = Sampler::new(SamplingParams::greedy(), 0, prompt, &[], None, None);
    engine.submit(Job { sequence, generation: Generation::new(sink, answer, sampler, count) });
    stream
}

/// Runs one prompt to its end; returns the logits of every step and the reused tokens.
fn run(engine: &mut Engine<Recorder<'_>>, prompt: &[TokenId], count: u32) -> (Vec<Vec<u32>>, u32) {
    engine.forward.logits.clear();
    let mut stream = submit(engine, prompt, count);
    while !engine.is_idle() {
        engine.step().expect("the model does not fail");
    }
    loop {
        match stream.blocking_next_event().expect("a stream has a final event") {
            TokenEvent::Finished(finish) => return (engine.forward.logits.clone(), finish.usage.cached_tokens),
            TokenEvent::Failed(error) => panic!("it failed: {error}"),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
    }
}

/// The logits of a prompt, computed afresh and with a reused prefix.
fn fresh_and_reused(
    config: &LlamacppConfig,
    model: &LlamaModel,
    fault: Fault,
    seed: usize,
) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let prompt = text(model, seed, SHARED + 5 + seed);
    let (fresh, cached) = run(&mut engine(config, model, Fault::None), &prompt, ANSWER);
    assert_eq!((fresh.len(), cached), (ANSWER as usize, 0));
    let mut reusing = engine(config, model, fault);
    run(&mut reusing, &prompt[..SHARED], 1);
    let (reused, cached) = run(&mut reusing, &prompt, ANSWER);
    assert_eq!((reused.len(), cached as usize), (ANSWER as usize, SHARED));
    (fresh, reused)
}

#[test]
fn a_reused_prefix_changes_no_bit() {
    let Some((config, model)) = loaded("a reused prefix changes no bit") else { return };
    for seed in 1..=6 {
        let (fresh, reused) = fresh_and_reused(&config, &model, Fault::None, seed);
        assert!(fresh == reused, "prompt {seed}: the largest difference is {}", largest(&fresh[0], &reused[0]));
    }
}

#[test]
fn a_wrong_cell_and_a_skipped_token_are_found() {
    let Some((config, model)) = loaded("injected faults are found") else { return };
    for fault in [Fault::StaleCell(1), Fault::StaleCell(100), Fault::SkippedToken] {
        let (fresh, reused) = fresh_and_reused(&config, &model, fault, 3);
        let difference = largest(&fresh[0], &reused[0]);
        eprintln!("{fault:?}: a logit differs by {difference}");
        assert!(fresh != reused, "{fault:?} is not found");
    }
}

/// A copy equals the original, and later changes of the original do not affect it.
#[test]
fn a_copied_prefix_changes_no_bit() {
    let Some((config, model)) = loaded("a copied prefix changes no bit") else { return };
    let prompt = text(&model, 4, SHARED + 9);
    let (shared, ending) = prompt.split_at(SHARED);
    let mut logits = [false, true].map(|copied| {
        let mut forward = engine(&config, &model, Fault::None).forward;
        let mut feed = |slot, position, tokens: &[TokenId]| {
            forward.feed(&[FeedRow { slot, position, tokens, wants_logits: true }]).expect("the pass succeeds");
        };
        feed(usize::from(!copied), 0, shared);
        if copied {
            feed(0, SHARED, &ending[3..]);
            forward.copy(0, 1);
            assert!(forward.truncate(1, SHARED));
            let more = FeedRow { slot: 0, position: prompt.len() - 3, tokens: &ending[..1], wants_logits: false };
            forward.feed(&[more]).expect("the pass succeeds");
        }
        forward
            .feed(&[FeedRow { slot: 1, position: SHARED, tokens: ending, wants_logits: true }])
            .expect("the pass succeeds");
        forward.logits.pop().expect("the row wants logits")
    });
    let [original, copy] = &mut logits;
    assert!(original == copy, "the largest difference is {}", largest(original, copy));
}

fn largest(left: &[u32], right: &[u32]) -> f32 {
    left.iter()
        .zip(right)
        .map(|(&left, &right)| (f32::from_bits(left) - f32::from_bits(right)).abs())
        .fold(0.0, f32::max)
}
