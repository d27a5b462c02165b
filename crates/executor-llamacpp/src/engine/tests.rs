//! The engine on a fake model whose logits are a hash of all previous tokens, so one wrong
//! key or value in a slot changes the answer.

use std::hash::{DefaultHasher, Hash, Hasher};

use hostler_executor::text::{Answer, IncrementalDecoder};
use hostler_executor::{TextError, TokenStream, token_channel};
use hostler_executor_kit::sampling::Sampler;
use hostler_protocol::{Finish, FinishReason, SamplingParams, StopConditions, TokenEvent};
use proptest::prelude::*;

use super::*;

const VOCABULARY: u32 = 24;
const END: TokenId = 0;
const SLOTS: usize = 3;
const BUDGET: ChunkBudget = ChunkBudget { with_decoding: 4, alone: 8 };
const REUSE: ReusePolicy = ReusePolicy::SharedPrefix { copy_saves_min: 3 };

fn next_logits(tokens: &[TokenId]) -> Vec<f32> {
    (0..VOCABULARY)
        .map(|id| {
            let mut hasher = DefaultHasher::new();
            (tokens, id).hash(&mut hasher);
            (hasher.finish() >> 40) as f32
        })
        .collect()
}

/// The answer of a sequence that runs alone.
fn solo(prompt: &[TokenId], count: u32) -> Vec<TokenId> {
    let mut tokens = prompt.to_vec();
    for _ in 0..count {
        let logits = next_logits(&tokens);
        let next =
            (0..VOCABULARY).max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize])).expect("not empty");
        if next == END {
            break;
        }
        tokens.push(next);
    }
    tokens.split_off(prompt.len())
}

/// A prompt whose answer has at least `count` tokens.
fn prompt_with_long_answer(count: u32) -> Vec<TokenId> {
    let prompts = (1..VOCABULARY).flat_map(|first| (1..VOCABULARY).map(move |second| vec![first, second]));
    prompts
        .into_iter()
        .find(|prompt| solo(prompt, count).len() == count as usize)
        .expect("one of many has a long answer")
}

/// Holds tokens in place of keys and values.
#[derive(Default)]
struct HashModel {
    held: Vec<Vec<TokenId>>,
    logits: Vec<Vec<f32>>,
    /// The number of tokens of each row, for every pass.
    passes: Vec<Vec<usize>>,
    fails: bool,
    cannot_truncate: bool,
}

impl HashModel {
    fn new(slots: usize) -> Self {
        Self { held: vec![Vec::new(); slots], ..Self::default() }
    }
}

impl Forward for HashModel {
    fn feed(&mut self, rows: &[FeedRow<'_>]) -> Result<(), String> {
        if self.fails {
            return Err("out of memory".into());
        }
        assert!(rows.is_sorted_by(|left, right| left.slot < right.slot), "one row per slot, in order");
        self.logits.clear();
        self.passes.push(rows.iter().map(|row| row.tokens.len()).collect());
        for row in rows {
            let held = &mut self.held[row.slot];
            assert_eq!(held.len(), row.position, "positions must be consecutive");
            held.extend_from_slice(row.tokens);
            self.logits.push(if row.wants_logits { next_logits(held) } else { Vec::new() });
        }
        Ok(())
    }

    fn logits(&self, row: usize) -> &[f32] {
        &self.logits[row]
    }

    fn truncate(&mut self, slot: usize, length: usize) -> bool {
        let can = length == 0 || !self.cannot_truncate;
        self.held[slot].truncate(if can { length } else { 0 });
        can
    }

    fn copy(&mut self, from: usize, to: usize) {
        self.held[to] = self.held[from].clone();
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

fn job(prompt: &[TokenId], count: u32) -> (Job, TokenStream) {
    job_until(&[END], prompt, count)
}

/// A job without end tokens, whose answer has exactly `count` tokens.
fn endless_job(prompt: &[TokenId], count: u32) -> (Job, TokenStream) {
    job_until(&[], prompt, count)
}

fn job_until(ends: &[TokenId], prompt: &[TokenId], count: u32) -> (Job, TokenStream) {
    let sequence = Sequence::greedy(prompt, count);
    let (sink, stream) = token_channel(&sequence, None);
    let answer = Answer::new(Box::new(NoText), &StopConditions::default(), ends, &[]).expect("nothing is answered");
    let sampler = Sampler::new(SamplingParams::greedy(), 0, prompt, &[], None, None);
    let generation = Generation::new(sink, answer, sampler, count);
    (Job { sequence, generation }, stream)
}

fn engine(policy: ReusePolicy) -> Engine<HashModel> {
    Engine::new(HashModel::new(SLOTS), SLOTS, policy, BUDGET)
}

fn run_to_idle(engine: &mut Engine<HashModel>) {
    for _ in 0..10_000 {
        if engine.is_idle() {
            return;
        }
        engine.step().expect("the model does not fail");
    }
    panic!("the engine does not become idle");
}

/// The tokens and the final event of a sequence that has ended.
fn outcome(mut stream: TokenStream) -> (Vec<TokenId>, TokenEvent) {
    let mut tokens = Vec::new();
    while let Some(event) = stream.blocking_next_event() {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(token) => tokens.push(token.id),
            end => return (tokens, end),
        }
    }
    panic!("a stream ended without a final event");
}

fn finish(end: TokenEvent) -> Finish {
    match end {
        TokenEvent::Finished(finish) => finish,
        other => panic!("it did not finish: {other:?}"),
    }
}

#[test]
fn a_shared_prefix_is_reused_and_reported() {
    let mut engine = engine(REUSE);
    let first: Vec<TokenId> = (1..20).collect();
    let mut second = first.clone();
    second.extend([3, 3, 3]);
    for (prompt, cached) in [(&first, 0), (&second, 19), (&first, 18)] {
        let (job, stream) = job(prompt, 6);
        engine.submit(job);
        run_to_idle(&mut engine);
        let (tokens, end) = outcome(stream);
        assert_eq!(tokens, solo(prompt, 6));
        assert_eq!(finish(end).usage.cached_tokens, cached);
    }
}

#[test]
fn a_cache_that_cannot_be_truncated_is_recomputed() {
    let mut engine = engine(REUSE);
    engine.forward.cannot_truncate = true;
    for _ in 0..2 {
        let (job, stream) = job(&[1, 2, 3, 4], 5);
        engine.submit(job);
        run_to_idle(&mut engine);
        let (tokens, end) = outcome(stream);
        assert_eq!(tokens, solo(&[1, 2, 3, 4], 5));
        assert_eq!(finish(end).usage.cached_tokens, 0);
    }
}

#[test]
fn a_cancelled_sequence_stops_at_the_next_step() {
    let mut engine = engine(REUSE);
    let prompt = prompt_with_long_answer(4);
    let mut streams = Vec::new();
    for _ in 0..=SLOTS {
        let (job, stream) = job(&prompt, 10_000);
        engine.submit(job);
        streams.push(stream);
    }
    engine.step().expect("the model does not fail");
    for stream in &streams {
        stream.cancel_handle().cancel();
    }
    engine.step().expect("the model does not fail");
    assert!(engine.is_idle());
    for stream in streams {
        let (_, end) = outcome(stream);
        assert!(matches!(end, TokenEvent::Failed(error) if error.code == ErrorCode::Cancelled));
    }
}

/// The bound that `docs/performance.md` states: between two tokens of a running sequence
/// there is one pass, with one token of each running sequence and at most one chunk of a
/// prompt, regardless of its length.
#[test]
fn a_long_prompt_delays_tokens_by_at_most_one_chunk() {
    const RUNNING: usize = 7;
    const PROMPT: usize = 1_500;
    for chunk in [4, 16, 65, 256, 2_000] {
        let budget = ChunkBudget { with_decoding: chunk, alone: chunk.max(256) };
        let mut engine = Engine::new(HashModel::new(RUNNING + 1), RUNNING + 1, REUSE, budget);
        let steps = PROMPT.div_ceil(chunk);
        let prompt = [1, 2];
        let streams: Vec<_> = (0..RUNNING)
            .map(|_| {
                let (job, stream) = endless_job(&prompt, steps as u32 + 10);
                engine.submit(job);
                stream
            })
            .collect();
        // Run until all of them decode.
        while engine.running.len() < RUNNING
            || engine.running.iter().any(|running| running.tokens.len() <= prompt.len())
        {
            engine.step().expect("the model does not fail");
        }
        let answered = |engine: &Engine<HashModel>| -> usize {
            engine.running.iter().map(|running| running.tokens.len()).filter(|&length| length < PROMPT).sum()
        };
        let long: Vec<TokenId> = (0..PROMPT).map(|at| 1 + (at % 5) as TokenId).collect();
        let (long, _stream) = endless_job(&long, 2);
        engine.submit(long);
        engine.forward.passes.clear();
        for step in 0..steps {
            let before = answered(&engine);
            engine.step().expect("the model does not fail");
            assert_eq!(answered(&engine), before + RUNNING, "chunk {chunk}: a sequence got no token in step {step}");
        }
        let read = engine.running.iter().find(|running| running.tokens.len() > PROMPT);
        assert!(read.is_some_and(|long| long.fed == PROMPT), "chunk {chunk}: the prompt needs more than {steps} steps");
        for pass in &engine.forward.passes {
            assert!(pass.iter().sum::<usize>() <= RUNNING + chunk, "chunk {chunk}: a pass of {pass:?}");
            assert_eq!(pass.iter().filter(|&&tokens| tokens == 1).count().min(RUNNING), RUNNING);
        }
        drop(streams);
    }
}

#[test]
fn a_failed_pass_fails_all_of_them() {
    let mut engine = engine(REUSE);
    let (first, stream) = job(&prompt_with_long_answer(4), 10);
    engine.submit(first);
    engine.step().expect("the model does not fail");
    engine.forward.fails = true;
    let reason = engine.step().expect_err("the model fails");
    engine.fail_all(&reason);
    let (_, end) = outcome(stream);
    assert!(matches!(end, TokenEvent::Failed(error) if error.code == ErrorCode::EngineFailed));
}

#[derive(Clone, Debug)]
enum Event {
    Submit(Vec<TokenId>, u32),
    Step,
    Cancel(usize),
}

fn any_event() -> impl Strategy<Value = Event> {
    // Few token values, so that prefixes are shared.
    let prompt = proptest::collection::vec(1_u32..3, 1..16);
    prop_oneof![
        (prompt, 1_u32..12).prop_map(|(prompt, count)| Event::Submit(prompt, count)),
        Just(Event::Step),
        Just(Event::Step),
        any::<usize>().prop_map(Event::Cancel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_answer_equals_that_of_a_sequence_alone(events in proptest::collection::vec(any_event(), 0..50)) {
        let mut engine = engine(REUSE);
        let mut submitted = Vec::new();
        for event in events {
            match event {
                Event::Submit(prompt, count) => {
                    let (job, stream) = job(&prompt, count);
                    engine.submit(job);
                    submitted.push((prompt, count, stream));
                }
                Event::Step => engine.step().expect("the model does not fail"),
                Event::Cancel(index) => {
                    if let Some((_, _, stream)) = index.checked_rem(submitted.len()).map(|index| &submitted[index]) {
                        stream.cancel_handle().cancel();
                    }
                }
            }
        }
        run_to_idle(&mut engine);
        for (prompt, count, stream) in submitted {
            let expected = solo(&prompt, count);
            let (tokens, end) = outcome(stream);
            match end {
                TokenEvent::Finished(finish) => {
                    prop_assert_eq!(&tokens, &expected);
                    let by_length = tokens.len() == count as usize;
                    prop_assert_eq!(finish.reason == FinishReason::Length, by_length);
                }
                _ => prop_assert!(expected.starts_with(&tokens)),
            }
        }
    }
}
