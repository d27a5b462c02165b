//! Objectives: what a good answer is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RequestRecord;

/// What a request must keep to, to count towards goodput. What is not set is
/// not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Longest time to the first token, in seconds.
    pub ttft_seconds: Option<f64>,
    /// Longest time per further token, in seconds.
    pub tpot_seconds: Option<f64>,
    /// Longest time to the end, in seconds.
    pub e2e_seconds: Option<f64>,
}

impl Slo {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the request succeeded and kept to every objective. A time that
    /// does not exist (the first token of an answer in one piece, the second of
    /// an answer of one token) violates none.
    #[must_use]
    pub fn is_met(&self, record: &RequestRecord) -> bool {
        let within = |time: Option<Duration>, most: Option<f64>| match (time, most) {
            (Some(time), Some(most)) => time.as_secs_f64() <= most,
            _ => true,
        };
        record.outcome.is_ok()
            && within(record.ttft(), self.ttft_seconds)
            && within(record.tpot(), self.tpot_seconds)
            && within(Some(record.e2e()), self.e2e_seconds)
    }
}
