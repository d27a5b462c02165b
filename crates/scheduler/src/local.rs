//! The handle of a scheduler in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::Arbiter;
use async_trait::async_trait;
use hostler_executor::{ExecutorFactory, ModelExecutor, token_channel};
use hostler_protocol::{
    ClaimRequest, EmbeddingRequest, Embeddings, ErrorCode, FencingToken, GenerationRequest, Prompt, RequestError,
    RequestId, SchedulerId, TenantId, TokenId,
};
use hostler_util::unix_time;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::active::ActiveRequest;
use crate::handle::{Generation, Scheduler, TokenizeInput};
use crate::incarnation::Incarnation;
use crate::intake::{self, PreparedRequest};
use crate::messages::{
    CancelRequest, ClaimScheduler, DrainScheduler, ReleaseClaim, RenewClaim, ResumeScheduler, SubmitGeneration,
};
use crate::metrics::SchedulerMetrics;
use crate::observer::RequestObserver;
use crate::publisher::SnapshotPublisher;
use crate::shared::Shared;
use crate::state::{Claim, not_serving};
use crate::stream::ClientStream;
use crate::supervisor::Supervisor;
use crate::text_work::TextOwner;
use crate::trace::RequestTrace;
use crate::{SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// The retry time when too many requests are on their way to the actor.
const IN_TRANSIT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A scheduler in this process. The handle stays valid when its engine is replaced.
pub struct LocalScheduler {
    shared: Arc<Shared>,
    tickets: AtomicU64,
    supervisor: Mutex<Option<RunningSupervisor>>,
}

/// The supervisor's thread; taken by [`LocalScheduler::stop`].
struct RunningSupervisor {
    stop: oneshot::Sender<()>,
    arbiter: Arbiter,
    ended: oneshot::Receiver<()>,
}

impl LocalScheduler {
    /// Starts a scheduler, which loads its model in the background; its snapshot shows
    /// when it serves. Call it inside an actix `System`, after the metrics exporter is
    /// installed.
    #[must_use]
    pub fn start(config: SchedulerConfig, factory: Arc<dyn ExecutorFactory>) -> Arc<Self> {
        let metrics = Arc::new(SchedulerMetrics::new(&config.model, &config.id));
        let publisher = Arc::new(SnapshotPublisher::new(
            SchedulerSnapshot::starting(config.id.clone(), config.model.clone(), config.max_batch_size),
            Arc::clone(&metrics),
        ));
        let shared = Arc::new(Shared::new(config, publisher, metrics));
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let supervisor = Supervisor::new(Arc::clone(&shared), factory, stopped);
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            supervisor.run().await;
            // If the handle was dropped, nothing joins the thread: it ends itself.
            if end.send(()).is_err() {
                Arbiter::current().stop();
            }
        });
        let supervisor = Mutex::new(Some(RunningSupervisor { stop, arbiter, ended }));
        Arc::new(Self { shared, tickets: AtomicU64::new(0), supervisor })
    }

    /// Stops the scheduler for good: all requests end at once, its threads are joined and
    /// the engine is freed. Drain first to let requests finish. Further calls do nothing.
    pub async fn stop(&self) {
        let supervisor = self.supervisor.lock().take();
        let Some(RunningSupervisor { stop, arbiter, ended }) = supervisor else {
            return;
        };
        // Both fail only if the supervisor's thread has already ended.
        let _ = stop.send(());
        let _ = ended.await;
        arbiter.stop();
        let joined = tokio::task::spawn_blocking(move || arbiter.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(scheduler = %self.shared.config.id, "the supervisor's thread panicked");
        }
    }

    /// Takes a permit and prepares a request. Until it has a sink, nothing else counts its
    /// failure in the metrics.
    async fn accept(&self, request: GenerationRequest) -> Result<Accepted, RequestError> {
        let incarnation = self.shared.incarnation()?;
        let permit = Arc::clone(&incarnation.permits).try_acquire_owned().map_err(|_| crowded())?;
        let prepared =
            intake::prepare(incarnation.executor.as_ref(), &incarnation.texts, request, &self.tickets).await?;
        let active = Arc::new(ActiveRequest::default());
        if incarnation.active.insert(prepared.demand.ticket, Arc::clone(&active)).is_err() {
            return Err(not_serving(SchedulerState::Failed));
        }
        Ok(Accepted { incarnation, permit, prepared, active })
    }
}

/// A request that is ready for the actor.
struct Accepted {
    incarnation: Arc<Incarnation>,
    permit: OwnedSemaphorePermit,
    prepared: PreparedRequest,
    active: Arc<ActiveRequest>,
}

#[async_trait]
impl Scheduler for LocalScheduler {
    fn id(&self) -> &SchedulerId {
        &self.shared.config.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.shared.publisher.subscribe()
    }

    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError> {
        let trace = RequestTrace::new(request.trace, self.id());
        let accepted = self.accept(request).await.inspect_err(|error| self.shared.metrics.failed(error.code))?;
        let Accepted { incarnation, permit, prepared, active } = accepted;
        let PreparedRequest { prompt_tokens, demand, sequence } = prepared;
        let ticket = demand.ticket;
        let observer = RequestObserver {
            ticket,
            prompt_tokens: demand.prompt_tokens,
            request: Arc::clone(&active),
            active: Arc::clone(&incarnation.active),
            meter: Arc::clone(&incarnation.meter),
            metrics: Arc::clone(&self.shared.metrics),
            actor: incarnation.actor.clone().recipient(),
            trace,
        };
        let (sink, tokens) = token_channel(&sequence, Some(Box::new(observer)));
        let stream = ClientStream::new(tokens, Arc::clone(&active), ticket, incarnation.actor.clone().recipient());
        let (reply, answer) = oneshot::channel();
        let submit = SubmitGeneration { demand, sequence, sink, active: Arc::clone(&active), permit, reply };
        incarnation.actor.do_send(submit);
        tokio::select! {
            biased;
            // A dead actor drops the reply; a blocked one is noticed by the supervisor.
            admitted = answer => admitted.unwrap_or_else(|_| Err(not_serving(SchedulerState::Failed)))?,
            error = active.cut_off.wait() => return Err(error),
        }
        Ok(Generation { scheduler: self.id().clone(), prompt_tokens, events: Box::pin(stream) })
    }

    async fn tokenize(&self, tenant: &TenantId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        let incarnation = self.shared.incarnation()?;
        let (texts, owner) = (&incarnation.texts, TextOwner::Tenant(tenant.clone()));
        match input {
            TokenizeInput::Text { text, add_special: true } => texts.tokenize(owner, Prompt::Text(text)).await,
            TokenizeInput::Text { text, add_special: false } => texts.encode_plain(owner, text).await,
            TokenizeInput::Chat(chat) => texts.tokenize(owner, Prompt::Chat(chat)).await,
        }
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.shared.incarnation()?.texts.decode(tokens).await
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        self.shared.incarnation()?.texts.pieces(tokens).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, RequestError> {
        let incarnation = self.shared.incarnation()?;
        let charge = |charged| incarnation.actor.do_send(charged);
        let (executor, texts) = (incarnation.executor.as_ref(), &incarnation.texts);
        incarnation.embeddings.embed(executor, texts, self.snapshot(), request, charge).await
    }

    async fn cancel(&self, id: RequestId) -> bool {
        match self.shared.incarnation() {
            Ok(incarnation) => incarnation.actor.send(CancelRequest { id }).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
        let Ok(incarnation) = self.shared.incarnation() else {
            return;
        };
        let (empty, emptied) = oneshot::channel();
        incarnation.actor.do_send(DrainScheduler { empty });
        // An error means that the engine failed, which empties the scheduler as well.
        let _ = emptied.await;
        incarnation.embeddings.emptied().await;
    }

    async fn resume(&self) {
        self.shared.draining.store(false, Ordering::Release);
        if let Ok(incarnation) = self.shared.incarnation() {
            // An error means that the engine failed; the next one is not drained.
            let _ = incarnation.actor.send(ResumeScheduler).await;
        }
    }

    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError> {
        let incarnation = self.shared.incarnation()?;
        let ClaimRequest { owner, ttl, drain } = claim;
        let token = next_token();
        let granted = Instant::now();
        let claim = Claim { token, owner, granted, ttl, expires: granted + ttl };
        let granted = incarnation.actor.send(ClaimScheduler { claim, drain }).await;
        granted.unwrap_or_else(|_| Err(not_serving(SchedulerState::Failed)))?;
        Ok(token)
    }

    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError> {
        // A scheduler whose engine has failed has lost its claim.
        let Ok(incarnation) = self.shared.incarnation() else { return Ok(false) };
        Ok(incarnation.actor.send(RenewClaim { token }).await.unwrap_or(false))
    }

    async fn release(&self, token: FencingToken) -> Result<bool, RequestError> {
        let Ok(incarnation) = self.shared.incarnation() else { return Ok(false) };
        Ok(incarnation.actor.send(ReleaseClaim { token }).await.unwrap_or(false))
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        Some(Arc::clone(&self.shared.incarnation().ok()?.executor))
    }
}

/// A fencing token that is greater than all earlier ones and unique in this process, since
/// requests are routed by it. It starts from the time in microseconds, so that tokens also
/// grow over restarts of the process.
fn next_token() -> FencingToken {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = u64::try_from(unix_time().as_micros()).unwrap_or(u64::MAX);
    let next = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    // The closure never returns `None`, so the update always succeeds.
    FencingToken(next(last.unwrap_or_else(|last| last)))
}

/// The refusal of a request for which there is no permit.
fn crowded() -> RequestError {
    RequestError::new(ErrorCode::Overloaded, "too many requests are on their way to this scheduler")
        .with_retry_after(IN_TRANSIT_RETRY_AFTER)
}
