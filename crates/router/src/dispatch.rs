//! How a request gets to a scheduler, the first time and when its scheduler fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_protocol::{ErrorCode, GenerationRequest, ModelDescription, RequestError, SchedulerId};

use crate::handle::{RoutedGeneration, Router, stopped};
use crate::in_flight::OnTheMove;
use crate::messages::{Assignment, ChooseScheduler, Question};
use crate::metrics;
use crate::migration::{Ledger, Segment, Unbroken};
use crate::retry::{Next, Refusals};

/// The first pause between two searches for somebody who continues an answer; each is
/// twice as long as the one before, up to the longest. A failed process is back in a
/// second or so, a full queue moves in less.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

impl Router {
    /// See [`Router::generate`].
    pub(crate) async fn dispatch(&self, request: &GenerationRequest) -> Result<RoutedGeneration, RequestError> {
        let permit = self.permit()?;
        self.with_budget(|budget, _| budget.deposit());
        let submitted = Instant::now();
        let segment = self.offer(request, Refusals::default()).await?;
        let (scheduler, prompt_tokens) = (segment.generation.scheduler.clone(), segment.generation.prompt_tokens);
        let description = description(&segment)?;
        let moves_max = self.config().migration.moves_max;
        let ledger = Ledger::new(request, prompt_tokens, room(&description), moves_max, submitted);
        let events = Box::pin(Unbroken::new(self.clone(), request.clone(), ledger, segment, permit));
        Ok(RoutedGeneration { scheduler, description, prompt_tokens, events })
    }

    /// Has a scheduler admit the request. Where one refuses and another may not, the
    /// next is asked, as often as is allowed and the budget has something left.
    async fn offer(&self, request: &GenerationRequest, mut refusals: Refusals) -> Result<Segment, RequestError> {
        let policy = self.config().policy;
        loop {
            let question = ChooseScheduler(Question::new(request, refusals.schedulers(), policy));
            let assignment = match self.actor().send(question).await.map_err(stopped)? {
                Ok(assignment) => assignment,
                Err(error) => return Err(refusals.exhausted(error)),
            };
            let Assignment { scheduler, health, in_flight } = assignment;
            let snapshot = scheduler.snapshot();
            let error = match scheduler.submit(request.clone()).await {
                Ok(generation) => return Ok(Segment { generation, snapshot, health, _in_flight: in_flight }),
                Err(error) => error,
            };
            let code = error.code;
            health.ended(&error, snapshot.borrow().state);
            match refusals.record(scheduler.id().clone(), error, self.config().attempts_max) {
                Next::TryAnother if self.with_budget(|budget, now| budget.withdraw(now)) => {
                    metrics::retried(&request.model, code);
                }
                Next::TryAnother => {
                    metrics::retry_denied(&request.model);
                    return Err(refusals.exhausted(RequestError::new(code, "the retry budget is spent")));
                }
                Next::GiveUp(error) => return Err(error),
            }
        }
    }

    /// Finds somebody who continues an answer that `from` failed to finish. Where all
    /// are full or away it waits, for as long as is configured and the deadline allows.
    ///
    /// # Errors
    /// The failure, with what kept the others from helping; `DeadlineExceeded`, or
    /// `Cancelled`.
    pub(crate) async fn continue_elsewhere(
        self,
        request: GenerationRequest,
        from: SchedulerId,
        failure: RequestError,
    ) -> Result<Segment, RequestError> {
        let moving = OnTheMove::new(self.whereabouts(), request.id);
        tokio::select! {
            biased;
            () = moving.cancelled() => Err(RequestError::cancelled()),
            found = self.search(request, from, failure) => found,
        }
    }

    async fn search(
        &self,
        request: GenerationRequest,
        from: SchedulerId,
        failure: RequestError,
    ) -> Result<Segment, RequestError> {
        if !self.has_another(&request, &from) {
            return Err(failure);
        }
        let begun = Instant::now();
        let wait = self.config().migration.wait;
        let mut pause = PAUSE_FIRST;
        // At first anyone but the one that failed; later that one too, since it may
        // have come back as new.
        let mut refusals = Refusals::after(from);
        loop {
            let error = match self.offer(&request, refusals).await {
                Ok(segment) => return Ok(segment),
                Err(error) => error,
            };
            if matches!(error.code, ErrorCode::Cancelled | ErrorCode::DeadlineExceeded) {
                return Err(error);
            }
            let now = Instant::now();
            if request.deadline.is_some_and(|deadline| deadline.has_passed(now)) {
                return Err(RequestError::deadline_passed(format_args!(
                    "while no scheduler could continue it: {}",
                    error.message
                )));
            }
            if now.saturating_duration_since(begun) + pause > wait {
                return Err(nobody_left(&failure, &error));
            }
            let left = request.deadline.map_or(pause, |deadline| deadline.remaining(now));
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
            refusals = Refusals::default();
        }
    }
}

/// The model that a scheduler holds: how much fits into it.
fn description(segment: &Segment) -> Result<Arc<ModelDescription>, RequestError> {
    segment
        .snapshot
        .borrow()
        .description
        .clone()
        .ok_or_else(|| RequestError::unavailable("the scheduler lost its model as it took the request"))
}

/// Tokens that one sequence can have at most.
fn room(model: &ModelDescription) -> u32 {
    u32::try_from(model.kv_capacity_tokens).map_or(model.context_length, |kv| kv.min(model.context_length))
}

/// A scheduler failed, and nobody could continue its answer.
fn nobody_left(failure: &RequestError, error: &RequestError) -> RequestError {
    let message = format!("{}; no other scheduler could continue the answer: {}", failure.message, error.message);
    RequestError::new(failure.code, message)
}
