//! The stream of one answer, whoever generates it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures::Stream;
use hostler_protocol::{Finish, GenerationRequest, ModelId, RequestError, SchedulerId, TokenEvent};
use hostler_scheduler::{Generation, SchedulerSnapshot};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::ending::ending;
use super::ledger::{Ledger, Verdict};
use crate::Router;
use crate::health::Health;
use crate::in_flight::InFlightGuard;
use crate::metrics::{self, Migration};

/// What one scheduler does for an answer, and what is held for it meanwhile.
pub(crate) struct Segment {
    pub(crate) generation: Generation,
    pub(crate) snapshot: watch::Receiver<SchedulerSnapshot>,
    pub(crate) health: Health,
    /// Counts the request at its scheduler for as long as this lives.
    pub(crate) _in_flight: InFlightGuard,
}

impl Segment {
    /// The scheduler ended its part with this error.
    fn ended(&self, error: &RequestError) {
        self.health.ended(error, self.snapshot.borrow().state);
    }
}

/// A request's events, and with them what it holds: its permit and its place in the
/// counts. They are given back after the last event, or when the stream is dropped,
/// whichever is first: a reader that keeps a finished stream keeps nothing else.
pub(crate) struct Unbroken {
    router: Router,
    request: GenerationRequest,
    ledger: Ledger,
    state: State,
    permit: Option<OwnedSemaphorePermit>,
}

/// The search for the next scheduler.
type Search = Pin<Box<dyn Future<Output = Result<Segment, RequestError>> + Send>>;

enum State {
    /// A scheduler generates.
    Reading(Segment),
    /// The next one is looked for.
    Moving(Search),
    /// The text of all tokens is asked for, to end an answer that is whole.
    Completing(Pin<Box<dyn Future<Output = Result<String, RequestError>> + Send>>),
    /// The last event is out.
    Ended,
}

impl Unbroken {
    pub(crate) fn new(
        router: Router,
        request: GenerationRequest,
        ledger: Ledger,
        segment: Segment,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { router, request, ledger, state: State::Reading(segment), permit: Some(permit) }
    }

    /// Does what the event of the present scheduler asks for. `None`: the reader learns
    /// nothing of it.
    fn take(&mut self, event: TokenEvent) -> Option<TokenEvent> {
        if let State::Reading(segment) = &self.state {
            tell(segment, &event, self.ledger.tokens().is_empty());
        }
        match self.ledger.take(event, Instant::now()) {
            Verdict::Pass(event) => {
                if matches!(event, TokenEvent::Finished(_) | TokenEvent::Failed(_)) {
                    self.end();
                }
                Some(event)
            }
            Verdict::Swallow => None,
            Verdict::Move(error) => {
                self.move_on(error);
                None
            }
            Verdict::Complete(error) => {
                self.complete(error);
                None
            }
        }
    }

    fn move_on(&mut self, error: RequestError) {
        let State::Reading(segment) = std::mem::replace(&mut self.state, State::Ended) else { return };
        let from: SchedulerId = segment.generation.scheduler.clone();
        tracing::info!(
            id = %self.request.id, scheduler = %from, tokens = self.ledger.tokens().len(), error = %error,
            "a scheduler failed with an answer unfinished; another continues it"
        );
        // What it held counts no more, before the next one is chosen.
        drop(segment);
        self.request.continuation = self.ledger.tokens().to_vec();
        let (router, request) = (self.router.clone(), self.request.clone());
        self.state = State::Moving(Box::pin(async move { router.continue_elsewhere(request, from, error).await }));
    }

    fn complete(&mut self, error: RequestError) {
        let (router, model) = (self.router.clone(), self.request.model.clone());
        let tokens = self.ledger.tokens().to_vec();
        self.state =
            State::Completing(Box::pin(async move { router.detokenize(&model, tokens).await.map_err(|_| error) }));
    }

    /// The answer is whole: says so in the place of the scheduler that died.
    fn completed(&mut self, text: Result<String, RequestError>) -> TokenEvent {
        let event = match text {
            Ok(text) => {
                let (reason, text) = ending(&text, self.ledger.shown_bytes(), &self.request.stop.sequences);
                let (usage, timings) = self.ledger.complete(Instant::now());
                TokenEvent::Finished(Finish { reason, text, usage, timings })
            }
            Err(error) => TokenEvent::Failed(error),
        };
        self.count(if matches!(event, TokenEvent::Finished(_)) { Migration::Completed } else { Migration::NobodyLeft });
        self.end();
        event
    }

    fn count(&self, outcome: Migration) {
        let model: &ModelId = &self.request.model;
        metrics::migrated(model, outcome);
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.permit = None;
    }
}

/// Tells a scheduler's health what it did.
fn tell(segment: &Segment, event: &TokenEvent, is_first: bool) {
    match event {
        TokenEvent::Started(_) => {}
        TokenEvent::Token(_) if is_first => segment.health.produced(),
        TokenEvent::Token(_) => {}
        TokenEvent::Finished(_) => segment.health.succeeded(),
        TokenEvent::Failed(error) => segment.ended(error),
    }
}

/// The final event of a stream that ends without one.
fn unfinished() -> TokenEvent {
    TokenEvent::Failed(RequestError::ended_without_final_event())
}

impl Stream for Unbroken {
    type Item = TokenEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TokenEvent>> {
        loop {
            match &mut self.state {
                State::Reading(segment) => {
                    let event = ready!(segment.generation.events.as_mut().poll_next(context));
                    if let Some(event) = self.take(event.unwrap_or_else(unfinished)) {
                        return Poll::Ready(Some(event));
                    }
                }
                State::Moving(search) => match ready!(search.as_mut().poll(context)) {
                    Ok(segment) => {
                        self.count(Migration::Moved);
                        self.state = State::Reading(segment);
                    }
                    Err(error) => {
                        self.count(Migration::of_failure(error.code));
                        self.end();
                        return Poll::Ready(Some(TokenEvent::Failed(error)));
                    }
                },
                State::Completing(text) => {
                    let text = ready!(text.as_mut().poll(context));
                    return Poll::Ready(Some(self.completed(text)));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}
