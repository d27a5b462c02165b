//! Loads models on mistral.rs.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use hostler_executor::{EngineStatus, ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor, Sequence};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_executor_kit::{GenerationBuilder, Limits, TOP_LOGPROBS_MAX};
use hostler_protocol::{Batching, Capabilities, Driving, Engine as EngineKind, ModelDescription, Prefill, TokenEvent};
use parking_lot::Mutex;

use crate::codec::MistralrsCodec;
use crate::dispatcher::{self, Dispatcher};
use crate::engine::Engine;
use crate::executor::MistralrsExecutor;
use crate::pipeline;
use crate::processor::ModelParams;
use crate::{Fault, MistralrsConfig};

/// Tokens that a new engine generates as a test: one in the prefill, one in a decode step.
const WARM_UP_TOKENS: u32 = 2;

/// Loads one model on mistral.rs.
#[derive(Debug)]
pub struct MistralrsFactory {
    config: MistralrsConfig,
    /// Applies to the first executor only, so that its replacement works.
    fault: Mutex<Option<Fault>>,
}

impl MistralrsFactory {
    /// Creates a factory without checking anything before [`load`](ExecutorFactory::load).
    #[must_use]
    pub fn new(config: MistralrsConfig) -> Self {
        let fault = Mutex::new(config.fault);
        Self { config, fault }
    }
}

impl ExecutorFactory for MistralrsFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        progress.stage(LoadStage::Weights);
        let fault = self.fault.lock().take();
        let executor = on_own_thread(|| load(&self.config, fault))?;
        progress.stage(LoadStage::WarmUp);
        warm_up(&executor)?;
        Ok(Arc::new(executor))
    }
}

/// mistral.rs panics on unexpected files, and builds its engine differently inside a
/// runtime. So it runs on a thread without a runtime, which may panic.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, LoadError> + Send) -> Result<T, LoadError> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("mistralrs-load".to_owned()).spawn_scoped(scope, work);
        let handle = spawned.map_err(|error| LoadError::Engine(error.to_string()))?;
        handle.join().unwrap_or_else(|panic| Err(LoadError::Engine(panic_message(&*panic))))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("panic: {message}")
}

fn load(config: &MistralrsConfig, fault: Option<Fault>) -> Result<MistralrsExecutor, LoadError> {
    let on_cpu = config.device.is_cpu();
    // On a CPU, the batched decode of mistral.rs 0.8.1 mixes up its rows.
    let max_sequences = if on_cpu { 1 } else { config.max_batch_size };
    let slots = NonZeroUsize::new(max_sequences as usize)
        .ok_or_else(|| LoadError::Engine("max_batch_size is 0; it must be at least 1".to_owned()))?;
    let loaded = pipeline::load(config, slots)?;
    let engine = Engine::start(&loaded, on_cpu, config.options.prefix_cache).map_err(LoadError::Engine)?;
    let status = Arc::<EngineStatus>::default();
    let tokens = loaded.grammars.tok_env().clone();
    let codec = MistralrsCodec::new(loaded.tokenizer.clone(), tokens, loaded.template, config.tool_format);
    let context_length = config.max_context_length.min(loaded.context_length);
    let vocabulary_size = codec.vocabulary_size();
    let params = ModelParams { end_token: loaded.end_tokens[0], vocabulary_size: vocabulary_size as usize, fault };
    let limits = dispatcher::Limits { max_sequences: slots.get(), model: params };
    let dispatcher = Dispatcher::spawn(engine, loaded.pipeline, limits, Arc::clone(&status))
        .map_err(|error| LoadError::Engine(error.to_string()))?;
    let description = ModelDescription {
        model: config.model.clone(),
        engine: EngineKind::Mistralrs,
        device: config.device.to_string(),
        weight_format: loaded.weight_format,
        weight_bytes: loaded.weight_bytes,
        context_length,
        kv_capacity_tokens: loaded.kv_capacity_tokens.unwrap_or(u64::from(context_length) * u64::from(max_sequences)),
        vocabulary_size,
        driving: Driving { max_sequences, batching: Batching::EqualLength, prefill: Prefill::Blocking },
        capabilities: Capabilities {
            constraints: true,
            top_logprobs_max: Some(TOP_LOGPROBS_MAX),
            chat: codec.has_chat_template(),
            embedding_dimensions: None,
        },
        dialect: codec.dialect(),
    };
    let builder = GenerationBuilder {
        limits: Limits { context_length, vocabulary_size },
        constraints: ConstraintCompiler::new(loaded.grammars, &loaded.end_tokens)
            .map_err(|error| LoadError::Engine(format!("cannot start a thread: {error}")))?,
        end_tokens: loaded.end_tokens,
    };
    Ok(MistralrsExecutor { description, codec, builder, status, dispatcher, on_cpu })
}

/// Generates a few tokens, so that an engine that cannot generate fails to load.
fn warm_up(executor: &MistralrsExecutor) -> Result<(), LoadError> {
    let mut sequence = Sequence::greedy(vec![executor.builder.end_tokens[0]], WARM_UP_TOKENS);
    sequence.stop.ignore_eos = true;
    let mut stream = executor.generate(sequence);
    while let Some(event) = stream.blocking_next_event() {
        match event {
            TokenEvent::Failed(error) => return Err(LoadError::Engine(error.message)),
            TokenEvent::Finished(_) => return Ok(()),
            TokenEvent::Started(_) | TokenEvent::Token(_) => {}
        }
    }
    Err(LoadError::Engine("its first answer ended without a final event".to_owned()))
}
