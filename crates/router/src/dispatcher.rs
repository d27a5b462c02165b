//! How a request gets to a scheduler: bounded by permits, offered until one scheduler
//! takes it, held back while claims or a short outage keep its model from being served, and
//! resumed on another scheduler when its own fails.

mod budget;
mod migration;
mod offers;
mod refusals;
mod stream;
mod suspects;
mod transcript;
mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use hostler_config::RouterConfig;
use hostler_protocol::{
    EmbeddingInput, ErrorCode, GenerationRequest, ModelDescription, ModelId, RequestError, SchedulerId, TokenEvent,
};
use hostler_scheduler::Abilities;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use offers::RoutedEmbeddings;
pub(crate) use waiting::is_away;

use self::migration::Migrator;
use self::offers::Offers;
use self::refusals::Refusals;
use self::stream::ResumableStream;
use self::transcript::Transcript;
use self::waiting::{Cause, Patience, Waiting};
use crate::chooser::Chooser;
use crate::claims::Claims;
use crate::directory::Directory;
use crate::directory::in_flight::InFlight;
use crate::gates::Gates;
use crate::policy::Reason;
use crate::receipts::{OpenReceipt, ReceiptEnd, ReceiptOutcome, Receipts};

/// A generation that a scheduler has admitted.
pub struct RoutedGeneration {
    /// The scheduler that has it: `x-hostler-scheduler`.
    pub scheduler: SchedulerId,
    /// Why this scheduler was chosen.
    pub reason: Reason,
    /// The scheduler's model.
    pub description: Arc<ModelDescription>,
    /// The prompt's length, in tokens.
    pub prompt_tokens: u32,
    /// What it produces; see [`TokenEvent`] for the order. Dropping it cancels the
    /// request.
    pub events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
}

/// Dispatches the requests of one router.
pub(crate) struct Dispatcher {
    config: Arc<RouterConfig>,
    /// One for each request in the router.
    permits: Arc<Semaphore>,
    /// Whether new requests are refused, because the router is shutting down.
    closing: watch::Sender<bool>,
    offers: Arc<Offers>,
    migrator: Migrator,
    directory: Directory,
    receipts: Arc<Receipts>,
    claims: Claims,
    /// Where requests wait while all schedulers of their model are away.
    outages: Gates,
}

impl Dispatcher {
    pub(crate) fn new(
        config: Arc<RouterConfig>,
        chooser: Chooser,
        directory: Directory,
        in_flight: Arc<InFlight>,
        receipts: Arc<Receipts>,
        claims: Claims,
        outages: Gates,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(config.requests_max));
        let offers = Arc::new(Offers::new(Arc::clone(&config), chooser));
        let migrator = Migrator {
            offers: Arc::clone(&offers),
            directory: directory.clone(),
            in_flight,
            suspects: Arc::default(),
            wait_max: config.move_wait,
        };
        let closing = watch::Sender::new(false);
        Self { config, permits, closing, offers, migrator, directory, receipts, claims, outages }
    }

    /// Dispatches a generation. While claims keep its model from being served, or all of the
    /// model's schedulers are away for a short time, waits and tries again.
    ///
    /// # Errors
    /// As [`crate::Router::generate`].
    pub(crate) async fn generate(&self, request: &GenerationRequest) -> Result<RoutedGeneration, RequestError> {
        let permit = self.permit()?;
        self.migrator.suspects.check(request, Instant::now())?;
        self.offers.count_request();
        let receipt = self.receipts.open(request.id, &request.model);
        let result = self.admit(request, permit, &receipt).await;
        if let Err(error) = &result {
            receipt.ended(ReceiptEnd::of_error(error.code), ReceiptOutcome::default());
        }
        result
    }

    async fn admit(
        &self,
        request: &GenerationRequest,
        mut permit: OwnedSemaphorePermit,
        receipt: &Arc<OpenReceipt>,
    ) -> Result<RoutedGeneration, RequestError> {
        let mut waiting = Waiting::new(&self.config, request.deadline, Instant::now());
        loop {
            let claims_seen = self.claims.changes();
            let error = match self.dispatch(request, permit, receipt).await {
                Ok(generation) => return Ok(generation),
                Err((error, unused)) => {
                    permit = unused;
                    error
                }
            };
            if error.code != ErrorCode::Unavailable || request.claim.is_some() {
                return Err(error);
            }
            // Examined first: a claim of another gateway may end at any time.
            let is_served = self.directory.serves(&request.model);
            let is_held = self.claims.may_hold(&request.model, claims_seen);
            let (cause, gate) = match (is_served, is_held) {
                (false, true) => (Cause::Claims, self.claims.gate()),
                (false, false) if !self.outages.is_closed(&request.model) => return Err(error),
                _ => (Cause::Outage, &self.outages),
            };
            // A scheduler serves but did not take it: asking again is a retry.
            if is_served && !self.offers.pay_for_retry(&request.model) {
                return Err(error);
            }
            let patience = waiting.patience(cause, Instant::now());
            let waits = async {
                if is_served {
                    tokio::time::sleep(waiting.next_pause()).await;
                } else {
                    gate.opened(&request.model).await;
                }
            };
            self.wait(waits, patience, error).await?;
        }
    }

    /// Computes embeddings on the scheduler that the decision chooses.
    ///
    /// # Errors
    /// As [`crate::Router::embed`].
    pub(crate) async fn embed(
        &self,
        model: &ModelId,
        inputs: Vec<EmbeddingInput>,
    ) -> Result<RoutedEmbeddings, RequestError> {
        let _permit = self.permit()?;
        self.offers.count_request();
        self.offers.embed(model, inputs, &self.receipts).await
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Whether there is no request in the router.
    pub(crate) fn is_idle(&self) -> bool {
        self.permits.available_permits() == self.config.requests_max
    }

    /// Refuses new requests, and returns when the last one has ended.
    pub(crate) async fn drain(&self) {
        self.closing.send_replace(true);
        let all = u32::try_from(self.config.requests_max).unwrap_or(u32::MAX);
        // An error would mean that the semaphore is closed, which never happens.
        let _ = self.permits.acquire_many(all).await;
    }

    /// Offers the request to the schedulers once. The permit comes back with an error.
    async fn dispatch(
        &self,
        request: &GenerationRequest,
        permit: OwnedSemaphorePermit,
        receipt: &Arc<OpenReceipt>,
    ) -> Result<RoutedGeneration, (RequestError, OwnedSemaphorePermit)> {
        let submitted = Instant::now();
        let offered = self.offers.generate(request, Refusals::default(), receipt).await;
        let described = offered.and_then(|segment| Ok((segment.assignment.description()?, segment)));
        let (description, segment) = match described {
            Ok(described) => described,
            Err(error) => return Err((error, permit)),
        };
        let (scheduler, prompt_tokens) = (segment.generation.scheduler.clone(), segment.generation.prompt_tokens);
        let (reason, migrations_max) = (segment.assignment.reason, self.config.moves_max);
        let tokens_max = Abilities::of(&description).sequence_tokens_max();
        let transcript = Transcript::new(request, prompt_tokens, tokens_max, migrations_max, submitted);
        let events = Box::pin(ResumableStream::new(
            self.migrator.clone(),
            request.clone(),
            transcript,
            segment,
            permit,
            Arc::clone(receipt),
        ));
        Ok(RoutedGeneration { scheduler, reason, description, prompt_tokens, events })
    }

    /// Waits for `waits`, for as long as `patience` allows. A waiting request holds a permit,
    /// so that the bound on requests includes those that wait.
    async fn wait(
        &self,
        waits: impl Future<Output = ()>,
        patience: Patience,
        refusal: RequestError,
    ) -> Result<(), RequestError> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            // An error would mean that the router is gone.
            _ = closing.wait_for(|&closing| closing) => Err(RequestError::shutting_down()),
            () = tokio::time::sleep_until(patience.until.into()) => Err(patience.spent(refusal)),
            () = waits => Ok(()),
        }
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        if self.is_closing() {
            return Err(RequestError::shutting_down());
        }
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| too_many_requests(self.config.requests_max))
    }
}

fn too_many_requests(max: usize) -> RequestError {
    RequestError::new(ErrorCode::Overloaded, format!("the router holds {max} requests, which is router.requests_max"))
        .with_retry_after(Duration::from_secs(1))
}
