//! The handle by which everyone else uses the router.

use std::sync::Arc;

use actix::{Actor, Addr, ArbiterHandle};
use hostler_config::RouterConfig;
use hostler_protocol::{
    EmbeddingInput, FencingToken, GenerationRequest, ModelId, RequestError, RequestId, SchedulerId, TokenId,
};
use hostler_scheduler::{Scheduler, SchedulerSnapshot, TokenizeInput};

use crate::actor::{AddScheduler, RemoveScheduler, RouterActor, stopped};
use crate::chooser::Chooser;
use crate::claims::{ClaimLedger, ClaimSpec, Claims, InProcessLedger, Lease};
use crate::decision::RouteRequest;
use crate::decision::explain::Explanation;
use crate::directory::in_flight::InFlight;
use crate::directory::{Directory, Roster, ServedModel, Tables};
use crate::dispatcher::{Dispatcher, RoutedEmbeddings, RoutedGeneration, is_away};
use crate::gates::Gates;
use crate::metrics;
use crate::receipts::{Receipt, Receipts};

/// A handle on the router. Clones are handles on the same one.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

struct Shared {
    config: Arc<RouterConfig>,
    actor: Addr<RouterActor>,
    directory: Directory,
    chooser: Chooser,
    in_flight: Arc<InFlight>,
    claims: Claims,
    receipts: Arc<Receipts>,
    dispatcher: Dispatcher,
}

impl Router {
    /// Starts a router without schedulers on `arbiter`. It is the only router of its
    /// schedulers.
    #[must_use]
    pub fn start(config: RouterConfig, arbiter: &ArbiterHandle) -> Self {
        Self::start_with(config, Arc::new(InProcessLedger::default()), arbiter)
    }

    /// [`Router::start`], for one of several routers, which record their claims in `ledger`.
    #[must_use]
    pub fn start_with(config: RouterConfig, ledger: Arc<dyn ClaimLedger>, arbiter: &ArbiterHandle) -> Self {
        let config = Arc::new(config);
        let in_flight = Arc::new(InFlight::default());
        let (directory, published) = Directory::new();
        let tables = Arc::new(Tables::default());
        let roster = Roster::new(Arc::clone(&config), Arc::clone(&tables), published);
        let actor = RouterActor::start_in_arbiter(arbiter, move |_| RouterActor(roster));
        let chooser = Chooser { tables, actor: actor.clone(), in_flight: Arc::clone(&in_flight) };
        let claims = Claims::new(directory.clone(), ledger, arbiter.clone());
        let outages = Gates::new(directory.clone(), arbiter.clone(), is_away);
        let receipts = Receipts::new(config.receipts_max);
        let dispatcher = Dispatcher::new(
            Arc::clone(&config),
            chooser.clone(),
            directory.clone(),
            Arc::clone(&in_flight),
            Arc::clone(&receipts),
            claims.clone(),
            outages,
        );
        Self(Arc::new(Shared { config, actor, directory, chooser, in_flight, claims, receipts, dispatcher }))
    }

    /// Adds a scheduler: requests may be sent to it from now on. One of the same name is
    /// replaced.
    ///
    /// # Errors
    /// `Unavailable` if the router has stopped.
    pub async fn add(&self, scheduler: Arc<dyn Scheduler>) -> Result<(), RequestError> {
        self.0.actor.send(AddScheduler(scheduler)).await.map_err(stopped)
    }

    /// Removes a scheduler: no more requests are sent to it. Whether there was one.
    ///
    /// # Errors
    /// `Unavailable` if the router has stopped.
    pub async fn remove(&self, id: SchedulerId) -> Result<bool, RequestError> {
        self.0.actor.send(RemoveScheduler(id)).await.map_err(stopped)
    }

    /// Sends a generation to a scheduler. If it refuses and another scheduler may succeed,
    /// asks the next one. While only claims keep the model from being served, waits for
    /// their end, for `wait_max` or until the request's deadline.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` while no scheduler is serving it,
    /// `Overloaded` beyond the router's bound, and the errors of [`Scheduler::submit`].
    pub async fn generate(&self, request: GenerationRequest) -> Result<RoutedGeneration, RequestError> {
        let result = self.0.dispatcher.generate(&request).await;
        if let Err(error) = &result {
            metrics::refused(&request.model, error.code);
        }
        result
    }

    /// Computes one vector for each text, in order, on one scheduler. If it refuses and
    /// another scheduler may succeed, asks the next one.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` while no scheduler is serving it,
    /// `Overloaded` beyond the router's bound, and the errors of [`Scheduler::embed`].
    pub async fn embed(&self, model: &ModelId, inputs: Vec<EmbeddingInput>) -> Result<RoutedEmbeddings, RequestError> {
        let result = self.0.dispatcher.embed(model, inputs).await;
        if let Err(error) = &result {
            metrics::refused(model, error.code);
        }
        result
    }

    /// The scheduler that would get the request now, and why.
    ///
    /// # Errors
    /// `NotFound` for an unknown model, `Unavailable` if the router has stopped.
    pub async fn explain(&self, request: &GenerationRequest) -> Result<Explanation, RequestError> {
        let route = RouteRequest::for_generation(request, &[], self.0.config.compares_prefixes());
        self.0.chooser.explain(&route).await
    }

    /// What was decided for a request and how it ended; `None` while it runs, and when it has been
    /// forgotten.
    #[must_use]
    pub fn receipt(&self, id: RequestId) -> Option<Receipt> {
        self.0.receipts.get(id)
    }

    /// The latest receipts, the latest first; at most `count`.
    #[must_use]
    pub fn receipts(&self, count: usize) -> Vec<Receipt> {
        self.0.receipts.recent(count)
    }

    /// A decision about the request, to be made any number of times by a measurement of its cost.
    /// It chooses a scheduler, counts the request there and gives the place back; whether there
    /// was one. The prompt is hashed before.
    #[doc(hidden)]
    pub fn decision(&self, request: &GenerationRequest) -> impl Fn() -> bool + Send + use<> {
        let route = RouteRequest::for_generation(request, &[], self.0.config.compares_prefixes());
        let chooser = self.0.chooser.clone();
        move || chooser.try_choose(&route)
    }

    /// Tokenizes a text or conversation with the model's own tokenizer.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable` while no scheduler has the model loaded, or
    /// `InvalidRequest`.
    pub async fn tokenize(&self, model: &ModelId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        self.0.directory.holder(model)?.tokenize(input).await
    }

    /// The text of tokens, by the model's own tokenizer.
    ///
    /// # Errors
    /// As [`Router::tokenize`].
    pub async fn detokenize(&self, model: &ModelId, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.0.directory.holder(model)?.detokenize(tokens).await
    }

    /// The bytes of each token in the model's vocabulary.
    ///
    /// # Errors
    /// As [`Router::tokenize`].
    pub async fn pieces(&self, model: &ModelId, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        self.0.directory.holder(model)?.pieces(tokens).await
    }

    /// Cancels a request at its scheduler. Whether there was one.
    pub async fn cancel(&self, id: RequestId) -> bool {
        self.0.in_flight.cancel(id).await
    }

    /// Cancels every request of this router.
    pub async fn cancel_all(&self) {
        self.0.in_flight.cancel_all().await;
    }

    /// The served models, by name.
    #[must_use]
    pub fn models(&self) -> Vec<ServedModel> {
        self.0.directory.models()
    }

    /// The state and load of every scheduler.
    #[must_use]
    pub fn schedulers(&self) -> Vec<SchedulerSnapshot> {
        self.0.directory.snapshots()
    }

    /// Claims a scheduler. The caller's runtime renews the lease until it is dropped. The
    /// holder has the scheduler to itself when [`Lease::wait_until_claimed`] returns.
    ///
    /// # Errors
    /// `NotFound` for an unknown scheduler or model, `InvalidRequest` if neither is named
    /// and several models are served, `Unavailable` if the scheduler is not free or fewer
    /// than `min_serving` others would go on serving.
    pub async fn claim(&self, spec: ClaimSpec) -> Result<Lease, RequestError> {
        self.0.claims.claim(spec).await
    }

    /// Renews a claim by its token, whichever gateway made it. Whether it is still open.
    ///
    /// # Errors
    /// `Unavailable` if its scheduler cannot be reached.
    pub async fn heartbeat_claim(&self, token: FencingToken) -> Result<bool, RequestError> {
        self.0.claims.heartbeat(token).await
    }

    /// Ends a claim by its token, whichever gateway made it. Whether it was still open.
    ///
    /// # Errors
    /// `Unavailable` if its scheduler cannot be reached.
    pub async fn release_claim(&self, token: FencingToken) -> Result<bool, RequestError> {
        self.0.claims.release(token).await
    }

    /// Whether any model has a scheduler that takes requests, and the router is not shutting
    /// down. A load balancer must not lose all gateways when one of many models fails.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.dispatcher.is_closing() && self.models().iter().any(|model| model.ready)
    }

    /// Whether this router has no request now.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.dispatcher.is_idle()
    }

    /// Refuses new requests from now on, and returns when this router's last one has ended.
    /// Leaves the schedulers as they are, because other routers may use them.
    pub async fn drain(&self) {
        self.0.dispatcher.drain().await;
    }
}
