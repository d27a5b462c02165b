//! Sampling parameters: how the next token is chosen.

use serde::{Deserialize, Serialize};

use crate::{RequestError, TokenId};

/// Maximum entries of a logit bias, as in OpenAI's API.
const LOGIT_BIAS_ENTRIES_MAX: usize = 1024;

/// A temperature below this counts as 0, as in vLLM (its `_SAMPLING_EPS`): logits divided
/// by a smaller number overflow `f32`, and no token can be drawn from infinities.
const TEMPERATURE_MIN: f32 = 1e-5;

/// Logits are at most some hundreds: divided by this, they stay far below `f32::MAX`.
const REPETITION_PENALTY_MIN: f32 = 0.01;

/// Sampling parameters, with the meaning that they have in OpenAI's API or, if they are not
/// part of it, in vLLM's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplingParams {
    /// 0 to 2. At 0, and below 0.00001, the likeliest token is taken (greedy).
    pub temperature: f32,
    /// Sample from the smallest set of likeliest tokens whose total probability reaches
    /// this. Above 0, at most 1.
    pub top_p: f32,
    /// Sample from this many likeliest tokens. `None`: from all.
    pub top_k: Option<u32>,
    /// Sample from tokens at least this fraction as likely as the likeliest. 0 to 1.
    pub min_p: f32,
    /// Divides the logits of tokens of the prompt and the answer (multiplies negative
    /// ones). 0.01 to 10; 1 has no effect.
    pub repetition_penalty: f32,
    /// Subtracted once from the logit of every token of the answer so far. −2 to 2.
    pub presence_penalty: f32,
    /// Subtracted from the logit of every token once for each of its occurrences in the
    /// answer so far. −2 to 2.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens. −100 to 100 each.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// The same seed gives the same answer, whatever other requests run.
    pub seed: Option<u64>,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl SamplingParams {
    /// Parameters that take the likeliest token at every step.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::default() }
    }

    /// Whether the likeliest token is taken at every step.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature < TEMPERATURE_MIN || self.top_k == Some(1)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field, its value and what is allowed.
    pub fn validate(&self) -> Result<(), RequestError> {
        in_range("temperature", self.temperature, 0.0, 2.0)?;
        positive_up_to("top_p", self.top_p, 1.0)?;
        in_range("min_p", self.min_p, 0.0, 1.0)?;
        in_range("repetition_penalty", self.repetition_penalty, REPETITION_PENALTY_MIN, 10.0)?;
        in_range("presence_penalty", self.presence_penalty, -2.0, 2.0)?;
        in_range("frequency_penalty", self.frequency_penalty, -2.0, 2.0)?;
        if self.top_k == Some(0) {
            return Err(RequestError::invalid("top_k", "top_k is 0; leave it out to consider every token"));
        }
        if self.logit_bias.len() > LOGIT_BIAS_ENTRIES_MAX {
            return Err(RequestError::invalid(
                "logit_bias",
                format!(
                    "logit_bias has {} entries; at most {LOGIT_BIAS_ENTRIES_MAX} are allowed",
                    self.logit_bias.len()
                ),
            ));
        }
        self.logit_bias.iter().try_for_each(|&(_, bias)| in_range("logit_bias", bias, -100.0, 100.0))
    }
}

/// Refuses what is outside `low..=high`, NaN included.
fn in_range(param: &'static str, value: f32, low: f32, high: f32) -> Result<(), RequestError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(RequestError::invalid(param, format!("{param} is {value}; it must be between {low} and {high}")))
}

/// Refuses what is not above 0 and at most `high`, NaN included.
fn positive_up_to(param: &'static str, value: f32, high: f32) -> Result<(), RequestError> {
    if value > 0.0 && value <= high {
        return Ok(());
    }
    Err(RequestError::invalid(param, format!("{param} is {value}; it must be above 0 and at most {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_refuses_nan_and_names_its_field() {
        type Change = fn(&mut SamplingParams);
        let cases: [(&str, Change); 6] = [
            ("temperature", |p| p.temperature = f32::NAN),
            ("top_p", |p| p.top_p = f32::NAN),
            ("min_p", |p| p.min_p = f32::NAN),
            ("repetition_penalty", |p| p.repetition_penalty = f32::NAN),
            ("presence_penalty", |p| p.presence_penalty = f32::NAN),
            ("frequency_penalty", |p| p.frequency_penalty = f32::NAN),
        ];
        for (field, change) in cases {
            let mut params = SamplingParams::default();
            assert!(params.validate().is_ok());
            change(&mut params);
            let error = params.validate().expect_err(field);
            assert_eq!(error.param.as_deref(), Some(field));
        }
    }

    #[test]
    fn limits_are_inclusive_except_zero_for_top_p() {
        let at = |temperature| SamplingParams { temperature, ..SamplingParams::default() }.validate();
        assert!(at(0.0).is_ok() && at(2.0).is_ok());
        assert!(at(-0.1).is_err() && at(2.1).is_err());
        let top_p = |top_p| SamplingParams { top_p, ..SamplingParams::default() }.validate();
        assert!(top_p(1.0).is_ok() && top_p(0.0).is_err());
    }

    #[test]
    fn numbers_that_would_overflow_the_logits_are_greedy_or_refused() {
        let temperature = |temperature| SamplingParams { temperature, ..SamplingParams::default() };
        for tiny in [0.0, f32::from_bits(1), 1e-39, f32::MIN_POSITIVE, 9e-6] {
            assert!(temperature(tiny).validate().is_ok() && temperature(tiny).is_greedy(), "{tiny}");
        }
        assert!(!temperature(TEMPERATURE_MIN).is_greedy());
        let penalty = |penalty| SamplingParams { repetition_penalty: penalty, ..SamplingParams::default() }.validate();
        assert!(penalty(REPETITION_PENALTY_MIN).is_ok() && penalty(10.0).is_ok());
        for wrong in [0.0, 1e-38, 0.009] {
            assert_eq!(penalty(wrong).expect_err("it is too small").param.as_deref(), Some("repetition_penalty"));
        }
    }
}
