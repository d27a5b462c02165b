//! The order of the adjustments, and the continuation of an answer on another engine.

use hostler_executor::TextError;
use hostler_executor::text::IncrementalDecoder;
use hostler_protocol::StopConditions;
use proptest::prelude::*;

use super::*;

const VOCABULARY: usize = 50;

/// Decodes every token to an empty text; these tests depend on token ids only.
struct Silent;

impl IncrementalDecoder for Silent {
    fn push(&mut self, _token: TokenId) -> Result<String, TextError> {
        Ok(String::new())
    }

    fn flush(&mut self) -> String {
        String::new()
    }
}

fn answer(stop: &StopConditions, answered: &[TokenId]) -> Answer {
    Answer::new(Box::new(Silent), stop, &[0], answered).expect("a silent token is always known")
}

/// A model whose logits depend pseudo-randomly on the previous token.
fn logits(before: TokenId) -> Vec<f32> {
    (0..VOCABULARY).map(|id| ((id * 37 + before as usize * 101) % 97) as f32 / 20.0).collect()
}

/// Generates `count` tokens after the prompt and `answered`.
fn generate(params: &SamplingParams, stop: &StopConditions, answered: &[TokenId], count: usize) -> Vec<TokenId> {
    let prompt = [7, 8, 9];
    let mut sampler = Sampler::new(params.clone(), 1234, &prompt, answered, None, None);
    let mut answer = answer(stop, answered);
    let mut scratch = Scratch::default();
    let mut tokens: Vec<TokenId> = prompt.iter().chain(answered).copied().collect();
    for _ in 0..count {
        let before = *tokens.last().expect("the prompt is not empty");
        let choice = sampler.sample(&logits(before), &answer, &mut scratch).expect("there is no constraint");
        let Choice::Token { id, .. } = choice else { panic!("there are tokens to choose from") };
        answer.push(id).expect("a silent token is always known");
        tokens.push(id);
    }
    tokens.split_off(prompt.len() + answered.len())
}

/// Bans the end of sequence, so that every answer has the requested length.
fn endless() -> StopConditions {
    StopConditions { ignore_eos: true, ..StopConditions::default() }
}

#[test]
fn greedy_takes_the_likeliest_token_that_is_not_banned() {
    let mut scratch = Scratch::default();
    let mut sampler = Sampler::new(SamplingParams::greedy(), 0, &[1], &[], None, None);
    let mut first = |stop: &StopConditions| sampler.sample(&[9.0, 1.0, 5.0], &answer(stop, &[]), &mut scratch);
    assert_eq!(first(&StopConditions::default()), Ok(Choice::Token { id: 0, logprob: None }));
    assert_eq!(first(&endless()), Ok(Choice::Token { id: 2, logprob: None }));
}

#[test]
fn a_bias_determines_the_token_and_penalties_limit_repetition() {
    let biased = SamplingParams { logit_bias: vec![(41, 100.0)], ..SamplingParams::default() };
    assert_eq!(generate(&biased, &endless(), &[], 5), [41; 5]);
    let penalised = SamplingParams { presence_penalty: 2.0, frequency_penalty: 2.0, ..biased };
    // Each occurrence lowers its logit by at least 2, and all others differ by at most 5.
    let tokens = generate(&SamplingParams { logit_bias: vec![(41, 4.0)], ..penalised }, &endless(), &[], 30);
    assert!(tokens.iter().filter(|&&id| id == 41).count() < 5, "{tokens:?}");
}

#[test]
fn log_probabilities_are_the_models_own() {
    let params = SamplingParams { logit_bias: vec![(1, 100.0)], ..SamplingParams::greedy() };
    let mut sampler = Sampler::new(params, 0, &[1], &[], None, Some(1));
    let choice = sampler.sample(&[0.0, 0.0], &answer(&endless(), &[]), &mut Scratch::default());
    let Ok(Choice::Token { id: 1, logprob: Some(logprob) }) = choice else { panic!("{choice:?}") };
    assert!((logprob.logprob - 0.5_f32.ln()).abs() < 1e-6);
    assert_eq!(logprob.top.len(), 1);
}

#[test]
fn nan_logits_give_no_token() {
    for params in [SamplingParams::greedy(), SamplingParams::default()] {
        let mut sampler = Sampler::new(params, 0, &[1], &[], None, None);
        let choice = sampler.sample(&[f32::NAN; 4], &answer(&endless(), &[]), &mut Scratch::default());
        assert_eq!(choice, Ok(Choice::NoToken));
    }
}

/// Any number in `low..=high`, with a higher probability of the bounds and of denormals.
fn within(low: f32, high: f32) -> impl Strategy<Value = f32> {
    prop_oneof![Just(low), Just(high), Just(low.max(1e-39)), Just(low.max(f32::MIN_POSITIVE)), low..=high]
}

proptest! {
    /// Valid sampling parameters never exclude all tokens.
    #[test]
    fn valid_parameters_always_give_a_token(
        temperature in within(0.0, 2.0),
        top_p in within(f32::from_bits(1), 1.0),
        min_p in within(0.0, 1.0),
        top_k in prop_oneof![Just(None), (1_u32..60).prop_map(Some)],
        repetition_penalty in within(0.01, 10.0),
        presence_penalty in within(-2.0, 2.0),
        bias in within(-100.0, 100.0),
        scale in prop_oneof![Just(0.0_f32), Just(1.0), Just(1e3)],
    ) {
        let params = SamplingParams {
            temperature,
            top_p,
            min_p,
            top_k,
            repetition_penalty,
            presence_penalty,
            frequency_penalty: presence_penalty,
            logit_bias: vec![(3, bias), (7, -bias)],
            seed: Some(1),
        };
        prop_assert_eq!(params.validate(), Ok(()));
        let mut sampler = Sampler::new(params, 0, &[7, 8, 9], &[3, 3], None, None);
        let logits: Vec<f32> = logits(9).iter().map(|logit| (logit - 2.0) * scale).collect();
        let choice = sampler.sample(&logits, &answer(&endless(), &[]), &mut Scratch::default());
        let found = matches!(choice, Ok(Choice::Token { .. }));
        prop_assert!(found, "{:?}", choice);
    }

    #[test]
    fn a_continued_answer_equals_the_whole_answer(
        seed in any::<u64>(),
        cut in 0_usize..20,
        temperature in prop_oneof![Just(0.0_f32), 0.1_f32..2.0],
        top_p in 0.1_f32..=1.0,
        penalty in -1.0_f32..1.0,
    ) {
        let params = SamplingParams {
            temperature,
            top_p,
            seed: Some(seed),
            frequency_penalty: penalty,
            repetition_penalty: 1.1,
            ..SamplingParams::default()
        };
        let whole = generate(&params, &endless(), &[], 20);
        let rest = generate(&params, &endless(), &whole[..cut], 20 - cut);
        prop_assert_eq!(&whole[cut..], &rest[..]);
    }
}
