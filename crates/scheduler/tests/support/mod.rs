//! An engine of a few lines for the scheduler's tests: exact, quick, and breakable
//! on command. What a real engine costs is the simulated engine's business.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::future::{pending, ready};
use futures::{FutureExt, StreamExt};
use hostler_executor::{
    CompileFuture, CompiledConstraint, EngineProgress, ExecutorFactory, LoadError, LoadProgress, ModelExecutor,
    Sequence, TextCodec, TextError, TokenSink,
};
use hostler_protocol::{
    Batching, Capabilities, ChatMessage, Constraint, Driving, Engine, FinishReason, GenerationRequest,
    ModelDescription, Prefill, Prompt, RequestError, Token, TokenEvent, TokenId,
};
use hostler_scheduler::{Generation, LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};

/// Levers on every engine that a [`FakeFactory`] loads.
#[derive(Debug)]
pub(crate) struct Levers {
    /// The engine stops in mid-step, and lets go of nothing.
    pub(crate) hang: AtomicBool,
    /// The engine's thread panics at its next step.
    pub(crate) panic: AtomicBool,
    /// Loading fails.
    pub(crate) unloadable: AtomicBool,
    /// Loads so far.
    pub(crate) loads: AtomicU32,
    /// Engine threads alive.
    pub(crate) threads: AtomicU32,
    /// Sequences that the engine was given.
    pub(crate) given: AtomicU64,
    /// The most sequences that it had at once.
    pub(crate) most_at_once: AtomicU32,
    /// Length of a step, in microseconds.
    pub(crate) step_us: AtomicU64,
}

impl Default for Levers {
    fn default() -> Self {
        Self {
            hang: AtomicBool::new(false),
            panic: AtomicBool::new(false),
            unloadable: AtomicBool::new(false),
            loads: AtomicU32::new(0),
            threads: AtomicU32::new(0),
            given: AtomicU64::new(0),
            most_at_once: AtomicU32::new(0),
            step_us: AtomicU64::new(1000),
        }
    }
}

/// Loads fake engines.
pub(crate) struct FakeFactory {
    pub(crate) levers: Arc<Levers>,
    pub(crate) description: ModelDescription,
}

impl FakeFactory {
    pub(crate) fn new() -> (Arc<Self>, Arc<Levers>) {
        let levers = Arc::new(Levers::default());
        (Arc::new(Self { levers: Arc::clone(&levers), description: description() }), levers)
    }
}

/// A ragged engine with eight sequences and a context of 2,048.
pub(crate) fn description() -> ModelDescription {
    ModelDescription {
        model: "fake".into(),
        engine: Engine::Simulated,
        device: "cpu".into(),
        weight_format: "none".into(),
        weight_bytes: 0,
        context_length: 2048,
        kv_capacity_tokens: 8 * 2048,
        vocabulary_size: 1000,
        driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Chunked { tokens: 512 } },
        capabilities: Capabilities::default(),
    }
}

impl ExecutorFactory for FakeFactory {
    fn load(&self, _: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        self.levers.loads.fetch_add(1, Ordering::SeqCst);
        if self.levers.unloadable.load(Ordering::SeqCst) {
            return Err(LoadError::Engine("it was told not to load".into()));
        }
        Ok(Arc::new(FakeEngine::start(self.description.clone(), Arc::clone(&self.levers))))
    }
}

struct FakeEngine {
    description: ModelDescription,
    sender: Option<mpsc::Sender<(Sequence, TokenSink)>>,
    steps: Arc<AtomicU64>,
    alive: Arc<AtomicBool>,
    levers: Arc<Levers>,
    thread: Option<JoinHandle<()>>,
}

struct Alive(Arc<AtomicBool>, Arc<Levers>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
        self.1.threads.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeEngine {
    fn start(description: ModelDescription, levers: Arc<Levers>) -> Self {
        let (sender, receiver) = mpsc::channel();
        let (steps, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        levers.threads.fetch_add(1, Ordering::SeqCst);
        let guard = Alive(Arc::clone(&alive), Arc::clone(&levers));
        let thread = thread::spawn({
            let (steps, levers) = (Arc::clone(&steps), Arc::clone(&levers));
            move || {
                let _guard = guard;
                run(&receiver, &steps, &levers);
            }
        });
        Self { description, sender: Some(sender), steps, alive, levers, thread: Some(thread) }
    }
}

fn run(receiver: &mpsc::Receiver<(Sequence, TokenSink)>, steps: &AtomicU64, levers: &Levers) {
    let mut running: Vec<(Sequence, TokenSink)> = Vec::new();
    loop {
        if running.is_empty() {
            match receiver.recv() {
                Ok(first) => running.push(first),
                Err(_) => return,
            }
        }
        running.extend(receiver.try_iter());
        let at_once = u32::try_from(running.len()).expect("few");
        levers.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(levers.step_us.load(Ordering::Relaxed)));
        assert!(!levers.panic.swap(false, Ordering::SeqCst), "told to panic");
        while levers.hang.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        running = running.into_iter().filter_map(|(sequence, sink)| step(sequence, sink)).collect();
        steps.fetch_add(1, Ordering::SeqCst);
    }
}

/// One token for one sequence.
fn step(sequence: Sequence, mut sink: TokenSink) -> Option<(Sequence, TokenSink)> {
    if let Some(code) = sink.stop_requested() {
        sink.stop(code);
        return None;
    }
    if sink.generated() == 0 {
        sink.started();
    }
    sink.token(Token { id: 1, text: "x".into(), logprob: None });
    if sink.generated() == sequence.max_new_tokens {
        sink.finish(FinishReason::Length, String::new());
        return None;
    }
    Some((sequence, sink))
}

impl ModelExecutor for FakeEngine {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn text(&self) -> &dyn TextCodec {
        self
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        self.levers.given.fetch_add(1, Ordering::SeqCst);
        if let Some(sender) = &self.sender {
            // A dead engine drops the sink, which tells the client.
            let _ = sender.send((sequence, sink));
        }
    }

    /// The expression "slow" never ends; every other constraint is compiled at once.
    fn compile(&self, constraint: Constraint, _: Vec<TokenId>) -> CompileFuture {
        match constraint {
            Constraint::Regex(regex) if regex == "slow" => pending().boxed(),
            _ => ready(Ok(CompiledConstraint::new(()))).boxed(),
        }
    }

    fn progress(&self) -> EngineProgress {
        EngineProgress { alive: self.alive.load(Ordering::SeqCst), steps: self.steps.load(Ordering::SeqCst) }
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // It panicked where a test told it to.
            let _ = thread.join();
        }
    }
}

/// A token a byte.
impl TextCodec for FakeEngine {
    fn encode(&self, text: &str, _: bool) -> Result<Vec<TokenId>, TextError> {
        Ok(text.bytes().map(TokenId::from).collect())
    }

    fn decode(&self, tokens: &[TokenId]) -> Result<String, TextError> {
        Ok("x".repeat(tokens.len()))
    }

    fn piece(&self, _: TokenId) -> Result<Vec<u8>, TextError> {
        Ok(b"x".to_vec())
    }

    fn render_chat(&self, _: &[ChatMessage]) -> Result<String, TextError> {
        Err(TextError::NoChatTemplate)
    }
}

/// A request with so many tokens in and out.
pub(crate) fn request(prompt_tokens: usize, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("fake".into(), Prompt::Tokens(vec![7; prompt_tokens]));
    request.stop.max_tokens = Some(max_tokens);
    request
}

/// Quick to restart, quick to notice.
pub(crate) fn config() -> SchedulerConfig {
    let mut config = SchedulerConfig::new("test", "fake");
    // An engine's thread must get its turn within it on a busy machine.
    config.recovery.watchdog = Duration::from_secs(3);
    config.recovery.restart_backoff = Duration::from_millis(1);
    config
}

/// How a stream ended, and how many tokens came before.
pub(crate) async fn read(mut generation: Generation) -> (usize, Result<FinishReason, RequestError>) {
    let mut tokens = 0;
    while let Some(event) = generation.events.next().await {
        match event {
            TokenEvent::Started(_) => {}
            TokenEvent::Token(_) => tokens += 1,
            TokenEvent::Finished(finish) => {
                assert!(generation.events.next().await.is_none(), "an event after the last");
                return (tokens, Ok(finish.reason));
            }
            TokenEvent::Failed(error) => {
                assert!(generation.events.next().await.is_none(), "an event after the last");
                return (tokens, Err(error));
            }
        }
    }
    panic!("the stream ended in silence after {tokens} tokens");
}

/// Waits until the snapshot is as wanted, at most ten seconds.
pub(crate) async fn until(scheduler: &LocalScheduler, what: &str, wanted: impl FnMut(&SchedulerSnapshot) -> bool) {
    let mut snapshot = scheduler.snapshot();
    let reached = tokio::time::timeout(Duration::from_secs(10), snapshot.wait_for(wanted)).await;
    match reached {
        Ok(Ok(_)) => {}
        _ => panic!("not reached within ten seconds: {what}; {:?}", scheduler.snapshot().borrow().clone()),
    };
}

/// Starts a scheduler and waits until it serves.
pub(crate) async fn serving(config: SchedulerConfig, factory: Arc<FakeFactory>) -> Arc<LocalScheduler> {
    let scheduler = LocalScheduler::start(config, factory);
    until(&scheduler, "serving", |snapshot| snapshot.state == SchedulerState::Serving).await;
    scheduler
}

/// Waits for a condition that no snapshot shows, at most ten seconds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "not reached within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Nothing runs, waits or is reserved.
pub(crate) fn idle(snapshot: &SchedulerSnapshot) -> bool {
    snapshot.running == 0
        && snapshot.waiting_total() == 0
        && snapshot.kv_reserved_tokens == 0
        && snapshot.outstanding_tokens == 0
}
