//! The simulated engine, as others see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::ready;
use hostler_protocol::{Capabilities, Driving, Engine, ErrorCode, ModelDescription, ModelId, RequestError, TokenId};

use super::candidates::TOP_LOGPROBS_MAX;
use super::codec::{Codec, VOCABULARY_SIZE};
use super::driver::{Arrival, Driver};
use super::embedding;
use super::{InvalidSetting, SimulatedConfig, SimulatedProbe};
use crate::{
    EmbeddingFuture, ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor, Progress, Sequence, TextCodec,
    TokenSink,
};

/// Loads simulated engines.
pub struct SimulatedFactory {
    model: ModelId,
    config: SimulatedConfig,
    probe: SimulatedProbe,
}

impl SimulatedFactory {
    /// A factory of engines that serve `model`.
    ///
    /// # Errors
    /// A value of the configuration that is not allowed.
    pub fn new(model: impl Into<ModelId>, config: SimulatedConfig) -> Result<Self, InvalidSetting> {
        config.validate()?;
        Ok(Self { model: model.into(), config, probe: SimulatedProbe::default() })
    }

    /// A look into all the engines that this factory loads.
    #[must_use]
    pub fn probe(&self) -> SimulatedProbe {
        self.probe.clone()
    }
}

impl ExecutorFactory for SimulatedFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        progress.stage(LoadStage::Weights);
        thread::sleep(self.config.faults.slow_start());
        let engine = SimulatedExecutor::start(self.model.clone(), &self.config, self.probe.clone())?;
        self.probe.loaded();
        Ok(Arc::new(engine))
    }
}

/// What the engine's thread tells everybody.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) alive: AtomicBool,
    pub(super) steps: AtomicU64,
}

struct SimulatedExecutor {
    description: ModelDescription,
    life: Arc<Life>,
    /// Taken by drop: without it the thread ends.
    arrivals: Option<Sender<Arrival>>,
    thread: Option<JoinHandle<()>>,
}

impl SimulatedExecutor {
    fn start(model: ModelId, config: &SimulatedConfig, probe: SimulatedProbe) -> Result<Self, LoadError> {
        let life = Arc::new(Life { alive: AtomicBool::new(true), steps: AtomicU64::new(0) });
        let (sender, receiver) = mpsc::channel();
        let driver = Driver::new(config, receiver, life.clone(), probe);
        let thread = thread::Builder::new().name("simulated-engine".into()).spawn(move || driver.run());
        let thread = thread.map_err(|error| LoadError::Engine(format!("no thread to run in: {error}")))?;
        let description = describe(model, config);
        Ok(Self { description, life, arrivals: Some(sender), thread: Some(thread) })
    }

    /// Why a sequence can never run here.
    fn check(&self, sequence: &Sequence) -> Result<(), RequestError> {
        if sequence.prompt().is_empty() {
            return Err(RequestError::invalid("prompt", "the prompt is empty; it must have at least 1 token"));
        }
        if sequence.max_new_tokens == 0 {
            return Err(RequestError::invalid("max_tokens", "no token may be generated; at least 1 must be"));
        }
        let context_length = self.description.context_length;
        let length = sequence.tokens.len() as u64 + u64::from(sequence.max_new_tokens);
        if length > u64::from(context_length) {
            let message = format!(
                "{} tokens and {} to be generated are more than the context of {context_length} tokens",
                sequence.tokens.len(),
                sequence.max_new_tokens
            );
            return Err(RequestError::invalid("max_tokens", message));
        }
        let stop_ids = sequence.stop.token_ids.iter();
        let bias_ids = sequence.sampling.logit_bias.iter().map(|(id, _)| id);
        for &id in sequence.tokens.iter().chain(stop_ids).chain(bias_ids) {
            if id >= VOCABULARY_SIZE {
                return Err(crate::TextError::UnknownToken { id, vocabulary_size: VOCABULARY_SIZE }.into());
            }
        }
        if sequence.top_logprobs.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
            let message = format!("at most {TOP_LOGPROBS_MAX} alternatives are reported");
            return Err(RequestError::invalid("top_logprobs", message));
        }
        sequence.sampling.validate()
    }
}

fn describe(model: ModelId, config: &SimulatedConfig) -> ModelDescription {
    ModelDescription {
        model,
        engine: Engine::Simulated,
        device: "simulated".into(),
        weight_format: "none".into(),
        weight_bytes: 0,
        context_length: config.context_length,
        kv_capacity_tokens: config.kv_capacity_tokens,
        vocabulary_size: VOCABULARY_SIZE,
        driving: Driving { max_sequences: config.max_sequences, batching: config.batching, prefill: config.prefill },
        capabilities: Capabilities {
            constraints: false,
            top_logprobs_max: Some(TOP_LOGPROBS_MAX),
            chat: true,
            embedding_dimensions: Some(embedding::DIMENSIONS),
        },
    }
}

impl ModelExecutor for SimulatedExecutor {
    fn description(&self) -> &ModelDescription {
        &self.description
    }

    fn text(&self) -> &dyn TextCodec {
        &Codec
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        if let Err(error) = self.check(&sequence) {
            return sink.fail(error);
        }
        let Some(arrivals) = &self.arrivals else { return };
        if let Err(mpsc::SendError(arrival)) = arrivals.send(Arrival { sequence, sink }) {
            arrival.sink.fail(RequestError::new(ErrorCode::EngineFailed, "the simulated engine is dead"));
        }
    }

    /// At once: the cost model speaks of generation only.
    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        ready(embedding::embed(&tokens, self.description.context_length)).boxed()
    }

    fn progress(&self) -> Progress {
        Progress { alive: self.life.alive.load(Ordering::Acquire), steps: self.life.steps.load(Ordering::Relaxed) }
    }
}

impl Drop for SimulatedExecutor {
    fn drop(&mut self) {
        drop(self.arrivals.take());
        // An observer that holds the engine may be the last to drop it, on the
        // engine's own thread: that one ends by itself, just after.
        if let Some(thread) = self.thread.take().filter(|handle| handle.thread().id() != thread::current().id()) {
            // A panic of the engine was reported to all who had sequences there.
            let _ = thread.join();
        }
    }
}
