//! Measures the cost of a routing decision by the number of schedulers: `cargo run -p
//! hostler-router --example decision_cost`. The schedulers admit everything and answer
//! with one event, so the rest of a request costs the same for any number of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Arbiter, System};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    Batching, Capabilities, ClaimRequest, Driving, Engine, ErrorCode, FencingToken, Finish, FinishReason,
    GenerationRequest, ModelDescription, Prefill, Prompt, RequestError, RequestId, SchedulerId, SessionId, Timings,
    TokenEvent, TokenId, Usage,
};
use hostler_router::{Policy, Router, RouterConfig};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, SchedulerState, TokenizeInput};
use tokio::sync::watch;

/// Requests of one measurement, of which the fastest repetition counts.
const REQUESTS: u32 = 500;
const REPEATS: u32 = 7;

fn main() {
    println!("policy, schedulers, microseconds per request");
    System::new().block_on(async {
        for policy in Policy::ALL {
            for count in [1, 10, 100, 1000] {
                let cost = measure(policy, count).await;
                println!("{}, {count}, {:.1}", policy.as_str(), cost.as_secs_f64() * 1e6);
            }
        }
    });
}

async fn measure(policy: Policy, count: usize) -> Duration {
    let config = RouterConfig { policy, slow_start: Duration::ZERO, ..RouterConfig::default() };
    let router = Router::start(config, &Arbiter::current());
    for number in 0..count {
        let scheduler: Arc<dyn Scheduler> = Arc::new(InstantScheduler::new(number));
        if router.add(scheduler).await.is_err() {
            return Duration::MAX;
        }
    }
    let prompt = "You are a helpful assistant. Answer briefly and to the point. ".repeat(20);
    let mut fastest = Duration::MAX;
    for _ in 0..REPEATS {
        let started = Instant::now();
        for number in 0..REQUESTS {
            let mut request = GenerationRequest::new("m".into(), Prompt::Text(prompt.clone()));
            request.session = Some(SessionId::new(format!("session-{number}")));
            if let Ok(mut generation) = router.generate(request).await {
                while generation.events.next().await.is_some() {}
            }
        }
        fastest = fastest.min(started.elapsed() / REQUESTS);
    }
    fastest
}

/// A scheduler that answers at once.
struct InstantScheduler {
    id: SchedulerId,
    snapshot: watch::Sender<SchedulerSnapshot>,
}

impl InstantScheduler {
    fn new(number: usize) -> Self {
        let id = SchedulerId::new(format!("worker-{number}.scheduler"));
        let description = ModelDescription {
            model: "m".into(),
            engine: Engine::Simulated,
            device: "none".to_owned(),
            weight_format: "none".to_owned(),
            weight_bytes: 0,
            context_length: 2048,
            kv_capacity_tokens: 16_384,
            vocabulary_size: 256,
            driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Blocking },
            capabilities: Capabilities::default(),
        };
        let snapshot = SchedulerSnapshot {
            state: SchedulerState::Serving,
            description: Some(Arc::new(description)),
            outstanding_tokens: number as u64 % 97,
            ..SchedulerSnapshot::starting(id.clone(), "m".into(), 8)
        };
        Self { id, snapshot: watch::Sender::new(snapshot) }
    }
}

/// For the methods that no measurement calls.
fn unsupported<T>() -> Result<T, RequestError> {
    Err(RequestError::new(ErrorCode::Unavailable, "this scheduler only answers"))
}

#[async_trait]
impl Scheduler for InstantScheduler {
    fn id(&self) -> &SchedulerId {
        &self.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    async fn submit(&self, _: GenerationRequest) -> Result<Generation, RequestError> {
        let (usage, timings) = (Usage::default(), Timings::default());
        let finish = Finish { reason: FinishReason::Stop, text: String::new(), usage, timings };
        let events = Box::pin(stream::iter([TokenEvent::Finished(finish)]));
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens: 1, events })
    }

    async fn tokenize(&self, _: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        unsupported()
    }

    async fn detokenize(&self, _: Vec<TokenId>) -> Result<String, RequestError> {
        unsupported()
    }

    async fn pieces(&self, _: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        unsupported()
    }

    async fn cancel(&self, _: RequestId) -> bool {
        false
    }

    async fn drain(&self) {}

    async fn resume(&self) {}

    async fn claim(&self, _: ClaimRequest) -> Result<FencingToken, RequestError> {
        unsupported()
    }

    async fn heartbeat(&self, _: FencingToken) -> Result<bool, RequestError> {
        unsupported()
    }

    async fn release(&self, _: FencingToken) -> Result<bool, RequestError> {
        unsupported()
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        None
    }
}
