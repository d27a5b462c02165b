//! The simulated engine's factory and handle.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::ready;
use hostler_protocol::{
    Capabilities, Constraint, Dialect, Driving, Engine, ErrorCode, ModelDescription, ModelId, ReasoningFormat,
    RequestError, TenantId, TokenId,
};

use super::candidates::{TOP_LOGPROBS_MAX, mix};
use super::codec::{Codec, VOCABULARY_SIZE};
use super::driver::{Driver, Submission};
use super::{InvalidSetting, SimulatedConfig, SimulatedProbe};
use crate::{
    CompileFuture, CompiledConstraint, EmbeddingFuture, EngineProgress, EngineStatus, ExecutorFactory, LoadError,
    LoadProgress, LoadStage, ModelExecutor, Sequence, TextCodec, TextError, TokenSink,
};

/// Dimensions of the made-up embeddings.
const EMBEDDING_DIMENSIONS: u32 = 8;

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
    /// The first value of the configuration that is not allowed.
    pub fn new(model: impl Into<ModelId>, config: SimulatedConfig) -> Result<Self, InvalidSetting> {
        config.validate()?;
        Ok(Self { model: model.into(), config, probe: SimulatedProbe::default() })
    }

    /// The probe of all engines that this factory loads.
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

struct SimulatedExecutor {
    description: ModelDescription,
    status: Arc<EngineStatus>,
    /// `Drop` takes it, which ends the thread.
    submissions: Option<Sender<Submission>>,
    thread: Option<JoinHandle<()>>,
}

impl SimulatedExecutor {
    fn start(model: ModelId, config: &SimulatedConfig, probe: SimulatedProbe) -> Result<Self, LoadError> {
        let status = Arc::<EngineStatus>::default();
        let (sender, receiver) = mpsc::channel();
        let driver = Driver::new(config, receiver, status.clone(), probe);
        let thread = thread::Builder::new().name("simulated-engine".into()).spawn(move || driver.run());
        let thread = thread.map_err(|error| LoadError::Engine(format!("cannot start a thread: {error}")))?;
        let description = describe(model, config);
        Ok(Self { description, status, submissions: Some(sender), thread: Some(thread) })
    }

    /// Rejects a sequence that can never run on this engine.
    fn check(&self, sequence: &Sequence) -> Result<(), RequestError> {
        if sequence.prompt().is_empty() {
            return Err(RequestError::invalid("prompt", "the prompt is empty; it must have at least 1 token"));
        }
        if sequence.max_new_tokens == 0 {
            return Err(RequestError::invalid("max_tokens", "max_tokens is 0; at least 1 token must be generated"));
        }
        let context_length = self.description.context_length;
        let length = sequence.tokens.len() as u64 + u64::from(sequence.max_new_tokens);
        if length > u64::from(context_length) {
            let message = format!(
                "the prompt of {} tokens and {} tokens to generate exceed the context of {context_length} tokens",
                sequence.tokens.len(),
                sequence.max_new_tokens
            );
            return Err(RequestError::invalid("max_tokens", message));
        }
        let stop_ids = sequence.stop.token_ids.iter();
        let bias_ids = sequence.sampling.logit_bias.iter().map(|(id, _)| id);
        for &id in sequence.tokens.iter().chain(stop_ids).chain(bias_ids) {
            if id >= VOCABULARY_SIZE {
                return Err(TextError::UnknownToken { id, vocabulary_size: VOCABULARY_SIZE }.into());
            }
        }
        if sequence.top_logprobs.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
            let message = format!("the maximum is {TOP_LOGPROBS_MAX}");
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
            // A script is trusted to have the form that a request asks for.
            constraints: !config.script.is_empty(),
            top_logprobs_max: Some(TOP_LOGPROBS_MAX),
            chat: true,
            embedding_dimensions: Some(EMBEDDING_DIMENSIONS),
        },
        // Tools are described to it.
        dialect: Dialect { reasoning: Some(ReasoningFormat::ThinkTags), ..Dialect::default() },
    }
}

/// The embedding of a text, of length 1: a function of its tokens, so the same text
/// always has the same vector.
fn embed(tokens: &[TokenId], context_length: u32) -> Result<Vec<f32>, RequestError> {
    if tokens.is_empty() {
        return Err(RequestError::invalid("input", "the text is empty; it must have at least 1 token"));
    }
    if tokens.len() > context_length as usize {
        let length = tokens.len();
        let message = format!("the text has {length} tokens; the context holds {context_length}");
        return Err(RequestError::invalid("input", message));
    }
    if let Some(&id) = tokens.iter().find(|&&id| id >= VOCABULARY_SIZE) {
        return Err(TextError::UnknownToken { id, vocabulary_size: VOCABULARY_SIZE }.into());
    }
    let text = tokens.iter().fold(0, |text, &token| mix(text ^ u64::from(token)));
    // Every number is at least 0.5 from zero, so the length is never zero.
    let number = |dimension| (mix(text ^ mix(dimension)) % 200) as f32 - 99.5;
    let vector: Vec<f32> = (0..u64::from(EMBEDDING_DIMENSIONS)).map(number).collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    Ok(vector.into_iter().map(|number| number / length).collect())
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
        let Some(submissions) = &self.submissions else { return };
        if let Err(mpsc::SendError(submission)) = submissions.send(Submission { sequence, sink }) {
            submission.sink.fail(RequestError::new(ErrorCode::EngineFailed, "the simulated engine is dead"));
        }
    }

    fn compile(&self, _: &TenantId, constraint: Constraint, _: Vec<TokenId>) -> CompileFuture {
        let is_scripted = self.description.capabilities.constraints;
        let refused = || RequestError::invalid(constraint.param(), "only a script has constrained answers");
        ready(if is_scripted { Ok(CompiledConstraint::new(())) } else { Err(refused()) }).boxed()
    }

    /// Ready at once: the cost model covers generation only.
    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        ready(embed(&tokens, self.description.context_length)).boxed()
    }

    fn progress(&self) -> EngineProgress {
        self.status.progress()
    }
}

impl Drop for SimulatedExecutor {
    fn drop(&mut self) {
        drop(self.submissions.take());
        // If an observer drops the last reference, this runs on the engine's own thread,
        // which cannot join itself; it ends on its own.
        if let Some(thread) = self.thread.take().filter(|handle| handle.thread().id() != thread::current().id()) {
            // The sequences have already reported a panic of the engine.
            let _ = thread.join();
        }
    }
}
