//! Schedulers that fail on demand, and what a client reads from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use hostler_executor::ModelExecutor;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_protocol::{
    ClaimRequest, ErrorCode, FencingToken, Finish, GenerationRequest, RequestError, RequestId, SchedulerId, TenantId,
    TokenEvent, TokenId,
};
use hostler_router::{RoutedGeneration, Router};
use hostler_scheduler::{
    Generation, LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState, TokenizeInput,
};
use std::sync::Mutex;
use tokio::sync::watch;

/// When to retry after a refusal.
pub(crate) const FULL_RETRY_AFTER: Duration = Duration::from_secs(7);

/// A real scheduler on the simulated engine, whose next stream can be cut.
pub(crate) struct Faulty {
    inner: Arc<LocalScheduler>,
    cut: Mutex<Option<(usize, RequestError)>>,
    refuses: Mutex<Option<RequestError>>,
    refused: watch::Sender<usize>,
    submitted: AtomicUsize,
}

impl Faulty {
    pub(crate) async fn start(id: &str) -> Arc<Self> {
        let factory = SimulatedFactory::new("m", SimulatedConfig::echo()).expect("a valid configuration");
        let inner = LocalScheduler::start(SchedulerConfig::new(id, "m"), Arc::new(factory));
        let mut snapshot = inner.snapshot();
        snapshot.wait_for(|now| now.state == SchedulerState::Serving).await.expect("it loads");
        let (cut, refuses) = (Mutex::default(), Mutex::default());
        let (refused, submitted) = (watch::Sender::new(0), AtomicUsize::new(0));
        Arc::new(Self { inner, cut, refuses, refused, submitted })
    }

    /// Makes the next stream fail after so many events.
    pub(crate) fn fail_after(&self, events: usize, code: ErrorCode) {
        self.end_after(events, RequestError::new(code, "cut"));
    }

    /// Makes the next stream end with this error after so many events.
    pub(crate) fn end_after(&self, events: usize, error: RequestError) {
        *self.cut.lock().expect("no test panics with the lock") = Some((events, error));
    }

    /// Sets whether it refuses requests as overloaded.
    pub(crate) fn refuse(&self, refuses: bool) {
        let full = RequestError::new(ErrorCode::Overloaded, "full").with_retry_after(FULL_RETRY_AFTER);
        *self.refuses.lock().expect("no test panics with the lock") = refuses.then_some(full);
    }

    /// Makes it refuse requests with this error.
    pub(crate) fn refuse_with(&self, error: RequestError) {
        *self.refuses.lock().expect("no test panics with the lock") = Some(error);
    }

    /// How many requests it has refused.
    pub(crate) fn refused(&self) -> usize {
        *self.refused.borrow()
    }

    /// Waits until it has refused so many requests.
    pub(crate) async fn until_refused(&self, times: usize) {
        self.refused.subscribe().wait_for(|refused| *refused >= times).await.expect("the sender lives");
    }

    pub(crate) fn submitted(&self) -> usize {
        self.submitted.load(Ordering::SeqCst)
    }

    pub(crate) async fn stop(&self) {
        self.inner.stop().await;
    }
}

#[async_trait]
impl Scheduler for Faulty {
    fn id(&self) -> &SchedulerId {
        self.inner.id()
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.inner.snapshot()
    }

    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError> {
        let refusal = self.refuses.lock().expect("no test panics with the lock").clone();
        if let Some(error) = refusal {
            self.refused.send_modify(|refused| *refused += 1);
            return Err(error);
        }
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let generation = self.inner.submit(request).await?;
        let cut = self.cut.lock().expect("no test panics with the lock").take();
        let Some((events, error)) = cut else { return Ok(generation) };
        let end = stream::once(async move { TokenEvent::Failed(error) });
        Ok(Generation { events: Box::pin(generation.events.take(events).chain(end)), ..generation })
    }

    async fn tokenize(&self, tenant: &TenantId, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        self.inner.tokenize(tenant, input).await
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.inner.detokenize(tokens).await
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        self.inner.pieces(tokens).await
    }

    async fn cancel(&self, id: RequestId) -> bool {
        self.inner.cancel(id).await
    }

    async fn drain(&self) {
        self.inner.drain().await;
    }

    async fn resume(&self) {
        self.inner.resume().await;
    }

    async fn claim(&self, claim: ClaimRequest) -> Result<FencingToken, RequestError> {
        self.inner.claim(claim).await
    }

    async fn heartbeat(&self, token: FencingToken) -> Result<bool, RequestError> {
        self.inner.heartbeat(token).await
    }

    async fn release(&self, token: FencingToken) -> Result<bool, RequestError> {
        self.inner.release(token).await
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        self.inner.executor()
    }
}

/// Everything that a client read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) text: String,
    pub(crate) starts: usize,
    pub(crate) end: Result<Finish, RequestError>,
}

impl Answer {
    pub(crate) fn finish(&self) -> &Finish {
        self.end.as_ref().expect("it finished")
    }
}

pub(crate) async fn answer(router: &Router, request: GenerationRequest) -> Answer {
    read(router.generate(request).await.expect("a scheduler takes it")).await
}

pub(crate) async fn read(mut generation: RoutedGeneration) -> Answer {
    let (mut tokens, mut text, mut starts) = (Vec::new(), String::new(), 0);
    while let Some(event) = generation.events.next().await {
        let end = match event {
            TokenEvent::Started(_) => {
                starts += 1;
                continue;
            }
            TokenEvent::Token(token) => {
                tokens.push(token.id);
                text.push_str(&token.text);
                continue;
            }
            TokenEvent::Finished(finish) => {
                text.push_str(&finish.text);
                Ok(finish)
            }
            TokenEvent::Failed(error) => Err(error),
        };
        assert!(generation.events.next().await.is_none(), "nothing follows the final event");
        return Answer { tokens, text, starts, end };
    }
    panic!("the stream ended without a final event")
}
