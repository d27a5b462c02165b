//! Refusals: the errors of requests that are not served, and the engine's limits.

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};

use super::{Claim, Demand, InvalidTransition};
use crate::SchedulerState;

/// The retry time while a model is loading. The loading time is not known; small models
/// load in about this time.
const LOADING_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The engine's fixed limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Maximum tokens of one sequence, prompt and answer together.
    pub context_length: u32,
    /// Maximum tokens of all sequences together.
    pub kv_capacity_tokens: u64,
}

impl EngineLimits {
    /// Refuses a request that can never run, and names what would fit.
    ///
    /// # Errors
    /// `InvalidRequest`, naming `prompt` or `max_tokens`; with the reason `ContextLengthExceeded`
    /// if it would fit with a shorter prompt.
    pub fn check(self, demand: &Demand) -> Result<(), RequestError> {
        let (prompt, answer) = (u64::from(demand.prompt_tokens), u64::from(demand.answer_tokens_max));
        let context = u64::from(self.context_length);
        let (bound, what) = if self.kv_capacity_tokens < context {
            (self.kv_capacity_tokens, "engine's KV cache")
        } else {
            (context, "model's context")
        };
        if prompt == 0 {
            return Err(RequestError::invalid("prompt", "the prompt is empty; at least 1 token is needed"));
        }
        if prompt >= bound {
            let fit = bound.saturating_sub(1);
            let message = format!("the prompt has {prompt} tokens; the {what} holds {bound}, so at most {fit} fit");
            return Err(RequestError::context_length_exceeded("prompt", message));
        }
        if prompt + answer > bound {
            let fit = bound - prompt;
            let message = format!(
                "{prompt} prompt tokens and max_tokens {answer} are {} tokens; the {what} holds {bound}, so \
                 max_tokens can be at most {fit}",
                prompt + answer
            );
            let fits_no_prompt = answer >= bound;
            return Err(if fits_no_prompt {
                RequestError::invalid("max_tokens", message)
            } else {
                RequestError::context_length_exceeded("max_tokens", message)
            });
        }
        Ok(())
    }
}

/// The error of a scheduler that does not admit requests, by its state.
#[must_use]
pub fn not_serving(state: SchedulerState) -> RequestError {
    let unavailable = |message: &str| RequestError::unavailable(message);
    match state {
        SchedulerState::Starting => {
            unavailable("the model is still being loaded").with_retry_after(LOADING_RETRY_AFTER).expected()
        }
        SchedulerState::Draining => unavailable("the scheduler is draining and admits no new requests").expected(),
        SchedulerState::Claimed => {
            unavailable("the scheduler is claimed and admits only requests of the claim").expected()
        }
        SchedulerState::Failed => {
            unavailable("the engine failed and is being replaced").with_retry_after(LOADING_RETRY_AFTER)
        }
        SchedulerState::Stopped => unavailable("the scheduler has stopped").expected(),
        SchedulerState::Serving => unavailable("the scheduler admits no requests now"),
    }
}

/// The error of a claim on a scheduler that is not serving.
#[must_use]
pub(super) fn not_claimable(invalid: &InvalidTransition, current: Option<&Claim>) -> RequestError {
    RequestError::unavailable(match current {
        Some(claim) => format!("{invalid}: it is claimed by {}", claim.owner),
        None => invalid.to_string(),
    })
}

/// The error of a request that can be retried after `retry_after`.
#[must_use]
pub(super) fn overloaded(why: &str, wait: Option<Duration>, retry_after: Duration) -> RequestError {
    let seconds = retry_after.as_secs_f64();
    RequestError {
        retry_after: Some(retry_after),
        estimated_wait: wait,
        ..RequestError::new(ErrorCode::Overloaded, format!("{why}; retry in {seconds:.1} s"))
    }
}

/// The error of a request whose deadline passed before it started or while it ran.
#[must_use]
pub(super) fn deadline_passed(started: bool) -> RequestError {
    RequestError::deadline_passed(if started { "while it ran" } else { "before it could start" })
}
