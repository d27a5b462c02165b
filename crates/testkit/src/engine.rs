//! A fake engine for tests of schedulers: exact, fast, and able to fail on command. The
//! costs of real engines are modelled by the simulated engine.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{pending, ready};
use hostler_executor::{
    CompileFuture, CompiledConstraint, EngineProgress, ExecutorFactory, LoadError, LoadProgress, ModelExecutor,
    Sequence, TextCodec, TextError, TokenSink,
};
use hostler_protocol::{
    Batching, Constraint, Conversation, Driving, FinishReason, ModelDescription, Prefill, Token, TokenId,
};

use crate::model_description;

/// Controls and counters of all engines that a [`FakeFactory`] loads.
#[derive(Debug)]
pub struct EngineControls {
    /// The engine stops in the middle of a step and drops nothing.
    pub hang: AtomicBool,
    /// The engine's thread panics at its next step.
    pub panic: AtomicBool,
    /// Loading fails.
    pub unloadable: AtomicBool,
    /// Loads so far.
    pub loads: AtomicU32,
    /// Engine threads that are alive.
    pub threads: AtomicU32,
    /// Sequences that were started.
    pub given: AtomicU64,
    /// Maximum sequences at once so far.
    pub most_at_once: AtomicU32,
    /// Length of a step, in microseconds.
    pub step_us: AtomicU64,
}

impl Default for EngineControls {
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
pub struct FakeFactory {
    controls: Arc<EngineControls>,
    /// What its engines report.
    pub description: ModelDescription,
}

impl FakeFactory {
    /// A factory, and the controls of its engines.
    #[must_use]
    pub fn new() -> (Arc<Self>, Arc<EngineControls>) {
        let controls = Arc::new(EngineControls::default());
        (Arc::new(Self { controls: Arc::clone(&controls), description: description() }), controls)
    }
}

/// A ragged engine with eight sequences and a context of 2,048.
fn description() -> ModelDescription {
    ModelDescription {
        vocabulary_size: 1000,
        driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Chunked { tokens: 512 } },
        ..model_description("fake")
    }
}

impl ExecutorFactory for FakeFactory {
    fn load(&self, _: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        self.controls.loads.fetch_add(1, Ordering::SeqCst);
        if self.controls.unloadable.load(Ordering::SeqCst) {
            return Err(LoadError::Engine("it was told not to load".into()));
        }
        Ok(Arc::new(FakeEngine::start(self.description.clone(), Arc::clone(&self.controls))))
    }
}

struct FakeEngine {
    description: ModelDescription,
    sender: Option<mpsc::Sender<(Sequence, TokenSink)>>,
    steps: Arc<AtomicU64>,
    alive: Arc<AtomicBool>,
    controls: Arc<EngineControls>,
    thread: Option<JoinHandle<()>>,
}

struct Alive(Arc<AtomicBool>, Arc<EngineControls>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
        self.1.threads.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeEngine {
    fn start(description: ModelDescription, controls: Arc<EngineControls>) -> Self {
        let (sender, receiver) = mpsc::channel();
        let (steps, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        controls.threads.fetch_add(1, Ordering::SeqCst);
        let guard = Alive(Arc::clone(&alive), Arc::clone(&controls));
        let thread = thread::spawn({
            let (steps, controls) = (Arc::clone(&steps), Arc::clone(&controls));
            move || {
                let _guard = guard;
                run(&receiver, &steps, &controls);
            }
        });
        Self { description, sender: Some(sender), steps, alive, controls, thread: Some(thread) }
    }
}

fn run(receiver: &mpsc::Receiver<(Sequence, TokenSink)>, steps: &AtomicU64, controls: &EngineControls) {
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
        controls.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        thread::sleep(Duration::from_micros(controls.step_us.load(Ordering::Relaxed)));
        assert!(!controls.panic.swap(false, Ordering::SeqCst), "told to panic");
        while controls.hang.load(Ordering::SeqCst) {
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
        self.controls.given.fetch_add(1, Ordering::SeqCst);
        if let Some(sender) = &self.sender {
            // A dead engine drops the sink, which tells the client.
            let _ = sender.send((sequence, sink));
        }
    }

    /// The expression "slow" never ends; every other constraint is compiled at once.
    fn compile(&self, _: &hostler_protocol::TenantId, constraint: Constraint, _: Vec<TokenId>) -> CompileFuture {
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
            // The thread panics if a test asked for it.
            let _ = thread.join();
        }
    }
}

/// One token per byte.
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

    fn render_chat(&self, _: &Conversation) -> Result<String, TextError> {
        Err(TextError::NoChatTemplate)
    }
}
