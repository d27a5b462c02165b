//! Loading, as something that can be done again after a failure.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use hostler_executor::{ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor, Sequence};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_executor_kit::{Limits, Reception, TOP_LOGPROBS_MAX};
use hostler_protocol::{Batching, Capabilities, Driving, Engine as EngineKind, ModelDescription, Prefill, TokenEvent};

use crate::codec::MistralrsCodec;
use crate::dispatcher::{Dispatcher, Rules};
use crate::engine::Engine;
use crate::executor::MistralrsExecutor;
use crate::life::Life;
use crate::pipeline;
use crate::{Fault, MistralrsConfig};

/// Tokens that are generated to see that a fresh engine works: one from the prompt's
/// step, one from a decode step.
const WARM_UP_TOKENS: u32 = 2;

/// Loads one model on mistral.rs.
#[derive(Debug)]
pub struct MistralrsFactory {
    config: MistralrsConfig,
    /// Taken by the first executor: the one that replaces it is to live.
    fault: Mutex<Option<Fault>>,
}

impl MistralrsFactory {
    /// Nothing is looked at before [`load`](ExecutorFactory::load).
    #[must_use]
    pub fn new(config: MistralrsConfig) -> Self {
        let fault = Mutex::new(config.fault);
        Self { config, fault }
    }
}

impl ExecutorFactory for MistralrsFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        progress.stage(LoadStage::Weights);
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        let executor = on_own_thread(|| load(&self.config, fault))?;
        progress.stage(LoadStage::WarmUp);
        warm_up(&executor)?;
        Ok(Arc::new(executor))
    }
}

/// mistral.rs panics over files that are not as it expects them, and builds its engine
/// differently inside a runtime: so it gets a thread without one, which may die.
fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, LoadError> + Send) -> Result<T, LoadError> {
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("mistralrs-load".to_owned()).spawn_scoped(scope, work);
        let handle = spawned.map_err(|error| LoadError::Engine(error.to_string()))?;
        handle.join().unwrap_or_else(|panic| Err(LoadError::Engine(panic_message(&*panic))))
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
    format!("it panicked: {message}")
}

fn load(config: &MistralrsConfig, fault: Option<Fault>) -> Result<MistralrsExecutor, LoadError> {
    let on_cpu = config.device.is_cpu();
    // The batched decode of mistral.rs 0.8.1 mixes up its rows on a CPU.
    let max_sequences = if on_cpu { 1 } else { config.max_batch_size };
    let slots = NonZeroUsize::new(max_sequences as usize)
        .ok_or_else(|| LoadError::Engine("max_batch_size is 0; it must be at least 1".to_owned()))?;
    let loaded = pipeline::load(config, slots)?;
    let engine = Engine::start(&loaded, on_cpu).map_err(LoadError::Engine)?;
    let life = Life::begin(fault);
    let codec = MistralrsCodec::new(loaded.tokenizer.clone(), loaded.grammars.tok_env().clone(), loaded.template);
    let context_length = config.max_context_length.min(loaded.context_length);
    let vocabulary_size = codec.vocabulary_size();
    let rules = Rules { max_sequences: slots.get(), end_token: loaded.end_tokens[0], vocabulary_size };
    let dispatcher = Dispatcher::spawn(engine, loaded.pipeline, rules, Arc::clone(&life))
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
    };
    let reception = Reception {
        limits: Limits { context_length, vocabulary_size },
        constraints: ConstraintCompiler::new(loaded.grammars, &loaded.end_tokens)
            .map_err(|error| LoadError::Engine(format!("no thread can be started: {error}")))?,
        end_tokens: loaded.end_tokens,
    };
    Ok(MistralrsExecutor { description, codec, reception, life, dispatcher, on_cpu })
}

/// A few tokens, so that what fails at the first request fails now.
fn warm_up(executor: &MistralrsExecutor) -> Result<(), LoadError> {
    let mut sequence = Sequence::greedy(vec![executor.reception.end_tokens[0]], WARM_UP_TOKENS);
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
