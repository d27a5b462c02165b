//! The handle on a scheduler in this process.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use actix::Arbiter;
use async_trait::async_trait;
use hostler_executor::{ExecutorFactory, ModelExecutor, token_channel};
use hostler_protocol::{
    ClaimRequest, EmbeddingInput, Embeddings, ErrorCode, FencingToken, GenerationRequest, ModelDescription, Prompt,
    RequestError, RequestId, SchedulerId, TokenId,
};
use tokio::sync::{oneshot, watch};

use crate::board::Board;
use crate::handle::{Generation, Scheduler, TokenizeInput};
use crate::incarnation::Incarnation;
use crate::life::Life;
use crate::messages::{
    CancelRequest, ClaimScheduler, DrainScheduler, ReleaseClaim, RenewClaim, ResumeScheduler, SubmitGeneration,
};
use crate::metrics::SchedulerMetrics;
use crate::observer::RequestObserver;
use crate::owner::Owner;
use crate::state::{Claim, Ticket, not_serving};
use crate::stream::ClientStream;
use crate::trace::Traced;
use crate::{SchedulerConfig, SchedulerSnapshot, SchedulerState, intake};

/// When to come back if even the way to the scheduler is full.
const CROWDED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A scheduler in this process. The handle stays valid when the engine behind it
/// is replaced.
pub struct LocalScheduler {
    shared: Arc<Shared>,
    tickets: AtomicU64,
    running: Mutex<Option<Running>>,
}

/// What handles and the owner share.
pub(crate) struct Shared {
    pub(crate) config: SchedulerConfig,
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<SchedulerMetrics>,
    /// Whether a fresh engine, too, shall take no requests.
    pub(crate) draining: AtomicBool,
    incarnation: RwLock<Option<Arc<Incarnation>>>,
}

impl Shared {
    pub(crate) fn set_incarnation(&self, incarnation: Option<Arc<Incarnation>>) {
        *self.incarnation.write().unwrap_or_else(PoisonError::into_inner) = incarnation;
    }

    /// The engine and actor that serve now.
    fn incarnation(&self) -> Result<Arc<Incarnation>, RequestError> {
        let present = self.incarnation.read().unwrap_or_else(PoisonError::into_inner).clone();
        present.ok_or_else(|| not_serving(self.board.subscribe().borrow().state))
    }
}

/// What ends with [`LocalScheduler::stop`].
struct Running {
    stop: oneshot::Sender<()>,
    owner: Arbiter,
    ended: oneshot::Receiver<()>,
}

impl LocalScheduler {
    /// Starts a scheduler. Its model is loaded meanwhile: see its snapshot. Call it
    /// inside an actix `System`; install the metrics exporter before.
    #[must_use]
    pub fn start(config: SchedulerConfig, factory: Arc<dyn ExecutorFactory>) -> Arc<Self> {
        let metrics = Arc::new(SchedulerMetrics::new(&config.model, &config.id));
        let board = Arc::new(Board::new(
            SchedulerSnapshot::starting(config.id.clone(), config.model.clone(), config.max_batch_size),
            Arc::clone(&metrics),
        ));
        let (draining, incarnation) = (AtomicBool::new(false), RwLock::new(None));
        let shared = Arc::new(Shared { config, board, metrics, draining, incarnation });
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let owner = Owner::new(Arc::clone(&shared), factory, stopped);
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            owner.run().await;
            // Nobody listens when the handle is gone: then the thread ends itself.
            if end.send(()).is_err() {
                Arbiter::current().stop();
            }
        });
        let running = Mutex::new(Some(Running { stop, owner: arbiter, ended }));
        Arc::new(Self { shared, tickets: AtomicU64::new(0), running })
    }

    /// Stops it for good: what runs and waits ends at once, its threads are joined,
    /// the engine is freed. Drain first to let requests finish. Further calls do nothing.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { stop, owner, ended }) = running else {
            return;
        };
        // Both ends may be gone only if the owner's thread is, and then all is over.
        let _ = stop.send(());
        let _ = ended.await;
        owner.stop();
        let joined = tokio::task::spawn_blocking(move || owner.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(scheduler = %self.shared.config.id, "the owner's thread panicked");
        }
    }

    async fn admit(&self, incarnation: &Incarnation, request: GenerationRequest) -> Result<Generation, RequestError> {
        let model: &ModelDescription = incarnation.executor.description();
        let refused = |error: &RequestError| self.shared.metrics.failed(error.code);
        let trace = Traced::new(request.trace, &self.shared.config.id);
        let prepared = async {
            let permit = Arc::clone(&incarnation.permits).try_acquire_owned().map_err(|_| crowded())?;
            intake::check(&request, model)?;
            let mut request = request;
            let prompt = std::mem::replace(&mut request.prompt, Prompt::Tokens(Vec::new()));
            let tokens = intake::tokenize(&incarnation.executor, prompt).await?;
            let constraint = match request.constraint.take() {
                Some(constraint) => {
                    let executor = incarnation.executor.as_ref();
                    Some(intake::compile(executor, constraint, &request.continuation).await?)
                }
                None => None,
            };
            let prompt_tokens = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
            let ticket = Ticket(self.tickets.fetch_add(1, Ordering::Relaxed));
            let (demand, sequence) = intake::prepare(request, tokens, constraint, model, ticket)?;
            Ok((permit, prompt_tokens, demand, sequence))
        };
        let (permit, prompt_tokens, demand, sequence) = prepared.await.inspect_err(refused)?;

        let (ticket, life) = (demand.ticket, Arc::new(Life::default()));
        if !incarnation.lives.insert(ticket, Arc::clone(&life)) {
            return Err(not_serving(SchedulerState::Failed)).inspect_err(refused);
        }
        let observer = RequestObserver {
            ticket,
            prompt_tokens: demand.prompt_tokens,
            life: Arc::clone(&life),
            lives: Arc::clone(&incarnation.lives),
            meter: Arc::clone(&incarnation.meter),
            metrics: Arc::clone(&self.shared.metrics),
            scheduler: incarnation.actor.clone().recipient(),
            trace,
        };
        let (sink, tokens) = token_channel(&sequence, Some(Box::new(observer)));
        let scheduler = incarnation.actor.clone().recipient();
        let stream = ClientStream::new(tokens, Arc::clone(&life), ticket, scheduler);
        let (reply, answer) = oneshot::channel();
        let submit = SubmitGeneration { demand, sequence, sink, life: Arc::clone(&life), permit, reply };
        incarnation.actor.do_send(submit);
        tokio::select! {
            biased;
            // Without an answer the actor is dead; a cut says the same of a blocked one.
            admitted = answer => admitted.unwrap_or_else(|_| Err(not_serving(SchedulerState::Failed)))?,
            error = poll_fn(|context| life.poll_cut(context)) => return Err(error),
        }
        let scheduler = self.shared.config.id.clone();
        Ok(Generation { scheduler, prompt_tokens, events: Box::pin(stream) })
    }
}

#[async_trait]
impl Scheduler for LocalScheduler {
    fn id(&self) -> &SchedulerId {
        &self.shared.config.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.shared.board.subscribe()
    }

    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError> {
        let incarnation = self.shared.incarnation().inspect_err(|error| self.shared.metrics.failed(error.code))?;
        self.admit(&incarnation, request).await
    }

    async fn tokenize(&self, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        let executor = &self.shared.incarnation()?.executor;
        match input {
            TokenizeInput::Text { text, add_special: true } => intake::tokenize(executor, Prompt::Text(text)).await,
            TokenizeInput::Text { text, add_special: false } => Ok(executor.text().encode(&text, false)?),
            TokenizeInput::Chat(messages) => intake::tokenize(executor, Prompt::Chat(messages)).await,
        }
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        Ok(self.shared.incarnation()?.executor.text().decode(&tokens)?)
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        let incarnation = self.shared.incarnation()?;
        let text = incarnation.executor.text();
        tokens.into_iter().map(|token| Ok(text.piece(token)?)).collect()
    }

    async fn embed(&self, inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        let incarnation = self.shared.incarnation()?;
        incarnation.embeddings.embed(&incarnation.executor, self.snapshot(), inputs).await
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
        // An error means that the engine failed, which empties a scheduler as well.
        let _ = emptied.await;
    }

    async fn resume(&self) {
        self.shared.draining.store(false, Ordering::Release);
        if let Ok(incarnation) = self.shared.incarnation() {
            // An error means that the engine failed; the next one is not told to drain.
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
        // With its engine, a scheduler loses its claim.
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

/// A number for a claim, larger than all before it, and of no other claim in this
/// process: requests are routed by it. It begins at the time, in microseconds, so
/// that it also grows from one process to the next.
fn next_token() -> FencingToken {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let next = |last: u64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    // The update never declines.
    FencingToken(next(last.unwrap_or_else(|last| last)))
}

/// The answer when even the way to the scheduler is full.
fn crowded() -> RequestError {
    RequestError::new(ErrorCode::Overloaded, "too many requests are on their way to this scheduler")
        .with_retry_after(CROWDED_RETRY_AFTER)
}
