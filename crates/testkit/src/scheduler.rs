//! A fake scheduler for tests of what is above schedulers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    ClaimRequest, EmbeddingInput, Embeddings, FencingToken, Finish, FinishReason, GenerationRequest, RequestError,
    RequestId, SchedulerId, Timings, TokenEvent, TokenId, Usage,
};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, SchedulerState, TokenizeInput};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::model_description;

/// What a [`FakeScheduler`] does with requests.
#[derive(Clone, Debug)]
pub enum FakeBehaviour {
    /// Admits them; they run until [`FakeScheduler::finish_all`].
    Hold,
    /// Admits them and finishes them at once, without tokens.
    Finish,
    /// Refuses them with this error.
    Refuse(RequestError),
}

/// A scheduler of model `m` that serves from the start and has no engine.
pub struct FakeScheduler {
    id: SchedulerId,
    /// Its state and load, which only the test changes.
    pub snapshot: watch::Sender<SchedulerSnapshot>,
    behaviour: FakeBehaviour,
    submitted: AtomicUsize,
    held: Mutex<Vec<UnboundedSender<TokenEvent>>>,
}

impl FakeScheduler {
    /// A scheduler that behaves like this.
    #[must_use]
    pub fn new(id: &str, behaviour: FakeBehaviour) -> Arc<Self> {
        let mut description = model_description("m");
        description.capabilities.embedding_dimensions = Some(1);
        let snapshot = SchedulerSnapshot {
            state: SchedulerState::Serving,
            description: Some(Arc::new(description)),
            ..SchedulerSnapshot::starting(id.into(), "m".into(), 8)
        };
        let (snapshot, submitted) = (watch::Sender::new(snapshot), AtomicUsize::new(0));
        Arc::new(Self { id: id.into(), snapshot, behaviour, submitted, held: Mutex::default() })
    }

    /// Requests that were submitted, refused ones included.
    pub fn submitted(&self) -> usize {
        self.submitted.load(Ordering::SeqCst)
    }

    /// Finishes all requests that it holds.
    pub fn finish_all(&self) {
        for sender in self.held.lock().drain(..) {
            finish(&sender);
        }
    }
}

fn finish(sender: &UnboundedSender<TokenEvent>) {
    let finish = Finish {
        reason: FinishReason::Stop,
        text: String::new(),
        stop_sequence: None,
        usage: Usage::default(),
        timings: Timings::default(),
    };
    // The reader may have been dropped.
    let _ = sender.unbounded_send(TokenEvent::Finished(finish));
}

#[async_trait]
impl Scheduler for FakeScheduler {
    fn id(&self) -> &SchedulerId {
        &self.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    async fn submit(&self, _: GenerationRequest) -> Result<Generation, RequestError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let (sender, receiver) = unbounded();
        match &self.behaviour {
            FakeBehaviour::Hold => self.held.lock().push(sender),
            FakeBehaviour::Finish => finish(&sender),
            FakeBehaviour::Refuse(error) => return Err(error.clone()),
        }
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens: 1, events: Box::pin(receiver) })
    }

    async fn tokenize(&self, _: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        Ok(vec![1, 2, 3])
    }

    async fn detokenize(&self, _: Vec<TokenId>) -> Result<String, RequestError> {
        Ok("text".to_owned())
    }

    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        Ok(vec![b"piece".to_vec(); tokens.len()])
    }

    async fn embed(&self, inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        self.submitted.fetch_add(1, Ordering::SeqCst);
        match &self.behaviour {
            FakeBehaviour::Refuse(error) => Err(error.clone()),
            _ => Ok(Embeddings { vectors: vec![vec![1.0]; inputs.len()], prompt_tokens: 1 }),
        }
    }

    async fn cancel(&self, _: RequestId) -> bool {
        true
    }

    async fn drain(&self) {
        self.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Draining);
    }

    async fn resume(&self) {
        self.snapshot.send_modify(|snapshot| snapshot.state = SchedulerState::Serving);
    }

    async fn claim(&self, _: ClaimRequest) -> Result<FencingToken, RequestError> {
        Err(RequestError::unavailable("a fake scheduler cannot be claimed"))
    }

    async fn heartbeat(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    async fn release(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        None
    }
}
