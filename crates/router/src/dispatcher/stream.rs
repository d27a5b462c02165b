//! The stream of one answer, over all the schedulers that generate it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures::Stream;
use futures::future::BoxFuture;
use hostler_protocol::{GenerationRequest, RequestError, TokenEvent};
use tokio::sync::OwnedSemaphorePermit;

use super::migration::Migrator;
use super::offers::Segment;
use super::suspects::Failures;
use super::transcript::{Transcript, Verdict};
use crate::metrics::{self, Migration};
use crate::receipts::{OpenReceipt, ReceiptEnd, ReceiptOutcome};

/// The events of one request. When a scheduler fails, another one resumes the answer. The
/// request's permit and its in-flight count are released after the last event, or when
/// the stream is dropped, whichever is first.
pub(crate) struct ResumableStream {
    migrator: Migrator,
    request: GenerationRequest,
    transcript: Transcript,
    stage: Stage,
    failures: Failures,
    permit: Option<OwnedSemaphorePermit>,
    receipt: Arc<OpenReceipt>,
    /// How the answer ended; cancelled, unless something else is known.
    end: ReceiptEnd,
    cached_tokens: u32,
}

enum Stage {
    /// A scheduler generates.
    Reading(Segment),
    /// The migrator searches for the next scheduler.
    Migrating(BoxFuture<'static, Result<Segment, RequestError>>),
    /// The answer is complete although its scheduler failed, and is being detokenized.
    Completing(BoxFuture<'static, Result<String, RequestError>>),
    /// The last event was sent.
    Ended,
}

impl ResumableStream {
    pub(crate) fn new(
        migrator: Migrator,
        request: GenerationRequest,
        transcript: Transcript,
        segment: Segment,
        permit: OwnedSemaphorePermit,
        receipt: Arc<OpenReceipt>,
    ) -> Self {
        Self {
            migrator,
            request,
            transcript,
            stage: Stage::Reading(segment),
            failures: Failures::default(),
            permit: Some(permit),
            receipt,
            end: ReceiptEnd::Cancelled,
            cached_tokens: 0,
        }
    }

    /// Handles an event of the current scheduler. Returns the event that the client gets.
    fn handle(&mut self, event: TokenEvent) -> Option<TokenEvent> {
        if let Stage::Reading(segment) = &self.stage {
            // The first token of each scheduler, because this answer may be its trial.
            report_health(segment, &event, self.transcript.is_first_of_segment());
        }
        match &event {
            TokenEvent::Failed(error) if self.transcript.has_started() => {
                self.failures.failed(error, &self.request, &self.migrator.suspects);
            }
            TokenEvent::Finished(_) => self.failures.finished(&self.request, &self.migrator.suspects),
            _ => {}
        }
        match self.transcript.record(event, Instant::now()) {
            Verdict::Forward(event) => {
                if matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_)) {
                    self.end(&event);
                }
                Some(event)
            }
            Verdict::Skip => None,
            Verdict::Migrate(error) => {
                self.migrate(error);
                None
            }
            Verdict::Complete(error) => {
                self.complete(error);
                None
            }
        }
    }

    fn migrate(&mut self, error: RequestError) {
        let Stage::Reading(segment) = std::mem::replace(&mut self.stage, Stage::Ended) else { return };
        let from = segment.generation.scheduler.clone();
        tracing::info!(
            id = %self.request.id, scheduler = %from, tokens = self.transcript.tokens().len(), error = %error,
            "a scheduler failed in the middle of an answer; migrating it"
        );
        // Before the next scheduler is chosen, so that the request does not count twice.
        drop(segment);
        self.receipt.refused(error.code);
        self.request.continuation = self.transcript.tokens().to_vec();
        self.stage = Stage::Migrating(Box::pin(self.migrator.clone().resume(
            self.request.clone(),
            from,
            error,
            Arc::clone(&self.receipt),
        )));
    }

    fn complete(&mut self, error: RequestError) {
        let tokens = self.transcript.tokens().to_vec();
        let text = self.migrator.clone().detokenize(self.request.model.clone(), tokens);
        self.stage = Stage::Completing(Box::pin(async move { text.await.map_err(|_| error) }));
    }

    /// Ends a complete answer in place of the scheduler that failed.
    fn completed(&mut self, text: Result<String, RequestError>) -> TokenEvent {
        let (event, outcome) = match text {
            Ok(text) => {
                let finish = self.transcript.complete(&text, &self.request.stop.sequences, Instant::now());
                (TokenEvent::Finished(finish), Migration::Completed)
            }
            Err(error) => (TokenEvent::Failed(error), Migration::NoneLeft),
        };
        metrics::migrated(&self.request.model, outcome);
        self.end(&event);
        event
    }

    /// The answer ends with this event.
    fn end(&mut self, event: &TokenEvent) {
        match event {
            TokenEvent::Finished(finish) => {
                self.end = ReceiptEnd::of_finish(finish.reason);
                self.cached_tokens = finish.usage.cached_tokens;
            }
            TokenEvent::Failed(error) => self.end = ReceiptEnd::of_error(error.code),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
        self.stage = Stage::Ended;
        self.permit = None;
    }
}

impl Drop for ResumableStream {
    fn drop(&mut self) {
        let outcome = ReceiptOutcome { cached_tokens: self.cached_tokens, ..self.transcript.outcome() };
        self.receipt.ended(self.end, outcome);
    }
}

fn report_health(segment: &Segment, event: &TokenEvent, is_first_token: bool) {
    match event {
        TokenEvent::Token(_) if is_first_token => segment.assignment.health.produced(),
        TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        TokenEvent::Finished(_) => segment.assignment.health.succeeded(),
        TokenEvent::Failed(error) => segment.assignment.failed(error),
    }
}

/// The event for a scheduler whose stream ends without one.
fn missing_end() -> TokenEvent {
    TokenEvent::Failed(RequestError::ended_without_final_event())
}

impl Stream for ResumableStream {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        loop {
            match &mut self.stage {
                Stage::Reading(segment) => {
                    let event = ready!(segment.generation.events.as_mut().poll_next(context));
                    if let Some(event) = self.handle(event.unwrap_or_else(missing_end)) {
                        return Poll::Ready(Some(event));
                    }
                }
                Stage::Migrating(resumed) => match ready!(resumed.as_mut().poll(context)) {
                    Ok(segment) => {
                        metrics::migrated(&self.request.model, Migration::Moved);
                        self.stage = Stage::Reading(segment);
                    }
                    Err(error) => {
                        metrics::migrated(&self.request.model, Migration::of_failure(error.code));
                        let event = TokenEvent::Failed(error);
                        self.end(&event);
                        return Poll::Ready(Some(event));
                    }
                },
                Stage::Completing(text) => {
                    let text = ready!(text.as_mut().poll(context));
                    return Poll::Ready(Some(self.completed(text)));
                }
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }
}
