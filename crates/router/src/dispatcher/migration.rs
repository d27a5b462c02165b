//! Finds a scheduler that resumes an answer after its scheduler failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, GenerationRequest, ModelId, RequestError, Retry, SchedulerId, TokenId};
use hostler_util::Backoff;

use super::offers::{Offers, Segment};
use super::refusals::Refusals;
use super::suspects::Suspects;
use super::waiting::with_jitter;
use crate::directory::Directory;
use crate::directory::in_flight::{InFlight, Migrating};
use crate::receipts::OpenReceipt;

/// The pauses between searches: a failed process is back in about a second, a full queue
/// moves sooner.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

/// The first searches of answers that lost their scheduler together are spread over this time
/// for each of them, so that a thousand do not reach the others at the same instant.
const SPREAD_PER_ANSWER: Duration = Duration::from_micros(500);

/// Most time that one first search is delayed.
const SPREAD_MAX: Duration = Duration::from_millis(500);

/// Resumes answers on other schedulers. Clones share everything.
#[derive(Clone)]
pub(crate) struct Migrator {
    pub(crate) offers: Arc<Offers>,
    pub(crate) directory: Directory,
    pub(crate) in_flight: Arc<InFlight>,
    pub(crate) suspects: Arc<Suspects>,
    /// Maximum time to look for a scheduler that can continue an answer.
    pub(crate) wait_max: Duration,
}

impl Migrator {
    /// Finds a scheduler that resumes the answer that `from` failed to finish. While all
    /// are full or away, searches again, for the configured time and within the deadline.
    ///
    /// # Errors
    /// The last refusal, with the failure: the request may be sent again when a scheduler is
    /// back. The failure, if the model has no other scheduler. `DeadlineExceeded`, or `Cancelled`.
    pub(crate) async fn resume(
        self,
        request: GenerationRequest,
        from: SchedulerId,
        failure: RequestError,
        receipt: Arc<OpenReceipt>,
    ) -> Result<Segment, RequestError> {
        let migrating = Migrating::new(Arc::clone(&self.in_flight), request.id);
        tokio::select! {
            biased;
            () = migrating.cancelled() => Err(RequestError::cancelled()),
            found = self.search(request, from, failure, &receipt) => found,
        }
    }

    /// The text of an answer that is complete although its scheduler failed.
    pub(crate) async fn detokenize(self, model: ModelId, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.directory.holder(&model)?.detokenize(tokens).await
    }

    async fn search(
        &self,
        request: GenerationRequest,
        from: SchedulerId,
        failure: RequestError,
        receipt: &OpenReceipt,
    ) -> Result<Segment, RequestError> {
        if !self.directory.has_another(&request.model, &from) {
            return Err(failure);
        }
        let started = Instant::now();
        let mut attempts = BACKOFF.attempts();
        // The first search excludes the scheduler that failed; later ones include it,
        // because it may have restarted.
        let mut refusals = Refusals::after(from);
        let together = u32::try_from(self.in_flight.migrating()).unwrap_or(u32::MAX);
        if together > 1 {
            let spread = SPREAD_PER_ANSWER.saturating_mul(together).min(SPREAD_MAX);
            // Half of it at least is waited for, which costs an answer alone nothing.
            tokio::time::sleep(with_jitter(spread)).await;
        }
        // The first search is what the answer's admission promised; further ones are retries.
        let mut is_paid = true;
        let mut refused = None;
        loop {
            let error = if is_paid {
                match self.offers.generate(&request, std::mem::take(&mut refusals), receipt).await {
                    Ok(segment) => return Ok(segment),
                    Err(error) => error,
                }
            } else {
                refused.take().unwrap_or_else(|| RequestError::unavailable("the retry budget is spent"))
            };
            if matches!(error.code, ErrorCode::Cancelled | ErrorCode::DeadlineExceeded) {
                return Err(error);
            }
            // It would refuse again: the answer does not fit there, for example.
            if error.code.retry() == Retry::Never {
                return Err(no_other_scheduler(&failure, error));
            }
            let now = Instant::now();
            if request.deadline.is_some_and(|deadline| deadline.has_passed(now)) {
                return Err(RequestError::deadline_passed(format_args!(
                    "before another scheduler resumed it: {}",
                    error.message
                )));
            }
            let pause = with_jitter(attempts.next_pause());
            if now.saturating_duration_since(started) + pause > self.wait_max {
                return Err(no_other_scheduler(&failure, error));
            }
            let left = request.deadline.map_or(pause, |deadline| deadline.remaining(now));
            tokio::time::sleep(pause.min(left)).await;
            is_paid = self.offers.pay_for_retry(&request.model);
            refused = Some(error);
        }
    }
}

/// The refusal of the last scheduler that was asked says when to try again. One that would be
/// repeated is no answer to a request that was admitted before.
fn no_other_scheduler(failure: &RequestError, refusal: RequestError) -> RequestError {
    let message = format!("{}; no other scheduler could continue the answer: {}", failure.message, refusal.message);
    match refusal.code {
        ErrorCode::Overloaded | ErrorCode::Unavailable => RequestError { message, ..refusal },
        _ => RequestError { message, ..failure.clone() },
    }
}
