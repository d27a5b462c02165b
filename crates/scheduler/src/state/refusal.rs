//! The words in which requests are refused.

use std::time::Duration;

use hostler_protocol::{ErrorCode, RequestError};

use super::{Claim, Demand, Forbidden};
use crate::SchedulerState;

/// When to come back to a scheduler that is loading a model, in lack of any
/// better knowledge: small models load in about this time.
const LOADING_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The engine's bounds, which nothing can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Most tokens of one sequence, prompt and answer together.
    pub context_length: u32,
    /// Most tokens of all sequences together.
    pub kv_capacity_tokens: u64,
}

impl EngineLimits {
    /// Refuses what can never run, and says what would.
    ///
    /// # Errors
    /// `InvalidRequest`, naming `prompt` or `max_tokens`.
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
            return Err(RequestError::invalid("prompt", message));
        }
        if prompt + answer > bound {
            let fit = bound - prompt;
            let message = format!(
                "{prompt} prompt tokens and max_tokens {answer} are {} tokens; the {what} holds {bound}, so \
                 max_tokens can be at most {fit}",
                prompt + answer
            );
            return Err(RequestError::invalid("max_tokens", message));
        }
        Ok(())
    }
}

/// The answer of a scheduler that takes no requests.
#[must_use]
pub fn not_serving(state: SchedulerState) -> RequestError {
    let unavailable = |message: &str| RequestError::unavailable(message);
    match state {
        SchedulerState::Starting => {
            unavailable("the model is still being loaded").with_retry_after(LOADING_RETRY_AFTER).expected()
        }
        SchedulerState::Draining => unavailable("the scheduler is draining and takes no new requests").expected(),
        SchedulerState::Claimed => {
            unavailable("the scheduler is claimed and takes only its claimant's requests").expected()
        }
        SchedulerState::Failed => {
            unavailable("the engine failed and is being replaced").with_retry_after(LOADING_RETRY_AFTER)
        }
        SchedulerState::Stopped => unavailable("the scheduler has stopped").expected(),
        SchedulerState::Serving => unavailable("the scheduler takes no requests now"),
    }
}

/// The answer to a request whose claim has ended.
#[must_use]
pub(super) fn claim_ended() -> RequestError {
    RequestError::claim_ended().expected()
}

/// The answer to who wants a scheduler for themselves that is not free.
#[must_use]
pub(super) fn unclaimable(forbidden: &Forbidden, held: Option<&Claim>) -> RequestError {
    let message = match held {
        Some(claim) => format!("{forbidden}: {} has a claim on it", claim.owner),
        None => forbidden.to_string(),
    };
    RequestError::unavailable(message)
}

/// The answer to a request that may come back later.
#[must_use]
pub(super) fn overloaded(why: &str, wait: Option<Duration>, retry_after: Duration) -> RequestError {
    let seconds = retry_after.as_secs_f64();
    RequestError {
        retry_after: Some(retry_after),
        estimated_wait: wait,
        ..RequestError::new(ErrorCode::Overloaded, format!("{why}; come back in {seconds:.1} s"))
    }
}

/// The answer to a request whose deadline passed before it ran, or while it did.
#[must_use]
pub(super) fn too_late(started: bool) -> RequestError {
    RequestError::deadline_passed(if started { "while it ran" } else { "before it could start" })
}
