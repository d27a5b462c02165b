//! The one way in which the gateway speaks to the router.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, ArbiterHandle, MailboxError};
use futures::Stream;
use hostler_protocol::{
    EmbeddingInput, Embeddings, ErrorCode, GenerationRequest, ModelDescription, ModelId, RequestError, RequestId,
    Retry, SchedulerId, TokenEvent, TokenId,
};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, SchedulerState, TokenizeInput};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::RouterConfig;
use crate::actor::{Directory, RouterActor};
use crate::budget::RetryBudget;
use crate::claims::{ClaimLedger, Claims, InProcessLedger};
use crate::explain::Explanation;
use crate::in_flight::Whereabouts;
use crate::messages::{AddScheduler, ExplainRoute, Question, RemoveScheduler};
use crate::metrics;

/// Speaks to the router actor. Clones speak to the same one.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

struct Shared {
    config: RouterConfig,
    actor: Addr<RouterActor>,
    permits: Arc<Semaphore>,
    budget: Mutex<RetryBudget>,
    whereabouts: Arc<Whereabouts>,
    directory: watch::Receiver<Directory>,
    draining: AtomicBool,
    claims: Claims,
}

/// A generation that a scheduler has admitted.
pub struct RoutedGeneration {
    /// Which scheduler has it: `x-hostler-scheduler`.
    pub scheduler: SchedulerId,
    /// The loaded model that answers.
    pub description: Arc<ModelDescription>,
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
    /// What it produces; see [`TokenEvent`] for the order. Dropping it cancels
    /// the request.
    pub events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
}

/// Embeddings, and where they come from.
pub struct RoutedEmbeddings {
    /// Which scheduler made them: `x-hostler-scheduler`.
    pub scheduler: SchedulerId,
    /// The loaded model that made them.
    pub description: Arc<ModelDescription>,
    /// One vector for each text.
    pub embeddings: Embeddings,
}

/// A model that at least one scheduler holds, or is loading.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedModel {
    /// The name that clients write.
    pub model: ModelId,
    /// The loaded model; `None` while every scheduler of it is still loading.
    pub description: Option<Arc<ModelDescription>>,
    /// Whether a scheduler takes requests for it now.
    pub ready: bool,
}

impl Router {
    /// Starts the router actor on `arbiter`, with no schedulers yet. It is the only
    /// router of its schedulers.
    #[must_use]
    pub fn start(config: RouterConfig, arbiter: &ArbiterHandle) -> Self {
        Self::start_with(config, Arc::new(InProcessLedger::default()), arbiter)
    }

    /// [`Router::start`], for one of several routers, whose claims are in `ledger`.
    #[must_use]
    pub fn start_with(config: RouterConfig, ledger: Arc<dyn ClaimLedger>, arbiter: &ArbiterHandle) -> Self {
        let whereabouts = Arc::new(Whereabouts::default());
        let (publisher, directory) = watch::channel(Directory::from([]));
        let (known, settings) = (Arc::clone(&whereabouts), config.clone());
        metrics::show_refused_claims();
        let actor = RouterActor::start_in_arbiter(arbiter, move |_| RouterActor::new(settings, known, publisher));
        let permits = Arc::new(Semaphore::new(config.requests_max));
        let budget = Mutex::new(RetryBudget::new(config.retry_budget, Instant::now()));
        let claims = Claims::new(ledger, arbiter.clone());
        let draining = AtomicBool::new(false);
        Self(Arc::new(Shared { config, actor, permits, budget, whereabouts, directory, draining, claims }))
    }

    /// Lets requests go to `scheduler` from now on. One of the same name is replaced.
    ///
    /// # Errors
    /// `Unavailable`, if the router has stopped.
    pub async fn add(&self, scheduler: Arc<dyn Scheduler>) -> Result<(), RequestError> {
        self.0.actor.send(AddScheduler(scheduler)).await.map_err(stopped)
    }

    /// Sends no more requests to the scheduler of this name. Whether there was one.
    ///
    /// # Errors
    /// `Unavailable`, if the router has stopped.
    pub async fn remove(&self, id: SchedulerId) -> Result<bool, RequestError> {
        self.0.actor.send(RemoveScheduler(id)).await.map_err(stopped)
    }

    /// Has a scheduler admit the request. Where one refuses and another may not,
    /// the next is asked. While only a claim keeps the model from being served, the
    /// request waits for its end, for `wait_max` or until its deadline.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` while nobody serves it,
    /// `Overloaded` beyond the router's bound, and what
    /// [`Scheduler::submit`] answers.
    pub async fn generate(&self, request: GenerationRequest) -> Result<RoutedGeneration, RequestError> {
        let result = self.dispatch_or_wait(&request).await;
        if let Err(error) = &result {
            metrics::refused(&request.model, error.code);
        }
        result
    }

    /// Which scheduler would get the request now, and why.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` if the router has stopped.
    pub async fn explain(&self, request: &GenerationRequest) -> Result<Explanation, RequestError> {
        let question = Question::new(request, &[], self.0.config.policy);
        self.0.actor.send(ExplainRoute(question)).await.map_err(stopped)?
    }

    pub(crate) fn config(&self) -> &RouterConfig {
        &self.0.config
    }

    pub(crate) fn actor(&self) -> &Addr<RouterActor> {
        &self.0.actor
    }

    pub(crate) fn whereabouts(&self) -> Arc<Whereabouts> {
        Arc::clone(&self.0.whereabouts)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn with_budget<T>(&self, what: impl FnOnce(&mut RetryBudget, Instant) -> T) -> T {
        // It is changed by plain arithmetic, so a panic leaves it whole.
        what(&mut self.0.budget.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }

    /// Whether anyone but this scheduler serves the request's model, now or later.
    pub(crate) fn has_another(&self, request: &GenerationRequest, than: &SchedulerId) -> bool {
        self.directory()
            .iter()
            .any(|scheduler| scheduler.id() != than && scheduler.snapshot().borrow().model == request.model)
    }

    /// What every request holds until its end: a place among those that there may be.
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        if self.is_draining() {
            return Err(RequestError::shutting_down());
        }
        Arc::clone(&self.0.permits).try_acquire_owned().map_err(|_| self.too_many())
    }

    fn too_many(&self) -> RequestError {
        let max = self.0.config.requests_max;
        RequestError::new(ErrorCode::Overloaded, format!("the router holds {max} requests, the most that it may"))
            .with_retry_after(Duration::from_secs(1))
    }

    /// Tokens of a text or conversation, by the model's own tokenizer.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable` while no scheduler has the model loaded, or
    /// `InvalidRequest`.
    pub async fn tokenize(&self, model: &ModelId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        self.holder(model)?.tokenize(input).await
    }

    /// Text of tokens, by the model's own tokenizer.
    ///
    /// # Errors
    /// As [`Router::tokenize`].
    pub async fn detokenize(&self, model: &ModelId, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.holder(model)?.detokenize(tokens).await
    }

    /// Tokens as they stand in the vocabulary, as bytes.
    ///
    /// # Errors
    /// As [`Router::tokenize`].
    pub async fn pieces(&self, model: &ModelId, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        self.holder(model)?.pieces(tokens).await
    }

    /// Vectors that stand for texts, in the texts' order, by the scheduler of the
    /// model that has the least to do; where one refuses and another may not, by the
    /// next.
    ///
    /// # Errors
    /// As [`Router::generate`], and what [`Scheduler::embed`] answers.
    pub async fn embed(&self, model: &ModelId, inputs: Vec<EmbeddingInput>) -> Result<RoutedEmbeddings, RequestError> {
        let _permit = self.permit()?;
        let directory = self.directory();
        let mut able: Vec<(u64, &Arc<dyn Scheduler>, Arc<ModelDescription>)> = Vec::new();
        for scheduler in directory.iter() {
            let snapshot = scheduler.snapshot();
            let snapshot = snapshot.borrow();
            if snapshot.model == *model && snapshot.state == SchedulerState::Serving {
                able.extend(snapshot.description.clone().map(|it| (snapshot.outstanding_tokens, scheduler, it)));
            }
        }
        able.sort_by_key(|&(outstanding_tokens, ..)| outstanding_tokens);
        let mut refusal = None;
        for (_, scheduler, description) in able.into_iter().take(self.0.config.attempts_max as usize) {
            match scheduler.embed(inputs.clone()).await {
                Ok(embeddings) => {
                    return Ok(RoutedEmbeddings { scheduler: scheduler.id().clone(), description, embeddings });
                }
                Err(error) if error.code.retry() == Retry::Elsewhere => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(match refusal {
            Some(error) => error,
            None => self.holder(model).err().unwrap_or_else(|| {
                RequestError::unavailable(format!("no scheduler is serving model {:?} now", model.as_str()))
            }),
        })
    }

    /// Any scheduler that has the model loaded.
    fn holder(&self, model: &ModelId) -> Result<Arc<dyn Scheduler>, RequestError> {
        let directory = self.directory();
        let mut served = Vec::new();
        for scheduler in directory.iter() {
            let snapshot = scheduler.snapshot();
            let snapshot = snapshot.borrow();
            if snapshot.model == *model && snapshot.description.is_some() {
                return Ok(Arc::clone(scheduler));
            }
            served.push(snapshot.model.clone());
        }
        Err(if served.contains(model) {
            RequestError::unavailable(format!("model {:?} is not loaded yet", model.as_str()))
        } else {
            RequestError::unknown_model(model.as_str(), served.iter().map(ModelId::as_str))
        })
    }

    /// Cancels a request, wherever it is. Whether there was one.
    pub async fn cancel(&self, id: RequestId) -> bool {
        self.0.whereabouts.cancel(id).await
    }

    /// Cancels every request of this router.
    pub async fn cancel_all(&self) {
        self.0.whereabouts.cancel_all().await;
    }

    /// The models that are served, by name.
    #[must_use]
    pub fn models(&self) -> Vec<ServedModel> {
        let mut models: BTreeMap<ModelId, ServedModel> = BTreeMap::new();
        for snapshot in self.schedulers() {
            let served = models.entry(snapshot.model.clone()).or_insert_with(|| ServedModel {
                model: snapshot.model.clone(),
                description: None,
                ready: false,
            });
            served.ready |= snapshot.state == SchedulerState::Serving;
            served.description = served.description.take().or(snapshot.description);
        }
        models.into_values().collect()
    }

    /// Every scheduler's state and load.
    #[must_use]
    pub fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.directory().iter().map(|scheduler| scheduler.snapshot().borrow().clone()).collect()
    }

    /// Whether every model that is served has a scheduler that takes requests,
    /// and the router is not shutting down.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let models = self.models();
        !self.is_draining() && !models.is_empty() && models.iter().all(|model| model.ready)
    }

    /// Whether this router has no request now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.permits.available_permits() == self.0.config.requests_max
    }

    /// Refuses new requests from now on, and returns when the last one of this router
    /// has ended. The schedulers are left as they are: other routers may use them.
    pub async fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        self.stop_waiting();
        let all = u32::try_from(self.0.config.requests_max).unwrap_or(u32::MAX);
        // An error means that the semaphore was closed, which nobody does.
        let _ = self.0.permits.acquire_many(all).await;
    }

    pub(crate) fn directory(&self) -> Directory {
        Arc::clone(&self.0.directory.borrow())
    }

    pub(crate) fn watch_directory(&self) -> watch::Receiver<Directory> {
        self.0.directory.clone()
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.0.claims
    }
}

/// The actor is gone: the process is on its way out.
pub(crate) fn stopped(_: MailboxError) -> RequestError {
    RequestError::unavailable("the router has stopped")
}
