//! Loading a model, again and again if need be.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use hostler_executor::{ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_executor_kit::{Limits, Reception, TOP_LOGPROBS_MAX};
use hostler_protocol::{Batching, Capabilities, Driving, Engine as EngineKind, ModelDescription, Prefill};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::ParserFactory;

use crate::codec::LlamaCodec;
use crate::config::LlamacppConfig;
use crate::embedding::Pooling;
use crate::executor::{EngineThread, LlamacppExecutor};
use crate::gguf;
use crate::life::{self, Life, Work};
use crate::model;

/// Loads one model on llama.cpp, as often as it is asked to.
#[derive(Clone, Debug)]
pub struct LlamacppFactory {
    config: LlamacppConfig,
}

/// What the engine's thread says while it loads.
enum Report {
    Stage(LoadStage),
    /// The model, and its longest context.
    Ready(Arc<LlamaModel>, u32),
    Failed(LoadError),
}

impl LlamacppFactory {
    /// A factory for this model. Nothing is loaded yet.
    #[must_use]
    pub fn new(config: LlamacppConfig) -> Self {
        Self { config }
    }

    /// Builds the executor around a model that a thread has loaded.
    fn assemble(
        &self,
        model: Arc<LlamaModel>,
        context_length: u32,
        life: Arc<Life>,
        thread: EngineThread,
    ) -> Result<LlamacppExecutor, LoadError> {
        let grammars = grammars(&model).map_err(LoadError::Engine)?;
        let weight_bytes = model.size();
        let dimensions = Pooling::of(&model).map(|_| model.n_embd_out().unsigned_abs());
        let codec = LlamaCodec::new(model);
        let limits = Limits { context_length, vocabulary_size: codec.vocabulary_size() };
        let config = &self.config;
        let description = ModelDescription {
            model: config.model.clone(),
            engine: EngineKind::Llamacpp,
            device: config.device.to_string(),
            weight_format: gguf::dominant_tensor_type(&config.path).unwrap_or_else(|| "unknown".into()),
            weight_bytes: std::fs::metadata(&config.path).map_or(weight_bytes, |file| file.len()),
            context_length,
            kv_capacity_tokens: u64::from(context_length) * u64::from(config.max_batch_size),
            vocabulary_size: limits.vocabulary_size,
            driving: Driving {
                max_sequences: config.max_batch_size,
                batching: Batching::Ragged,
                prefill: Prefill::Chunked { tokens: config.prefill_chunk_tokens },
            },
            capabilities: Capabilities {
                constraints: true,
                top_logprobs_max: Some(TOP_LOGPROBS_MAX),
                chat: codec.has_chat_template(),
                embedding_dimensions: dimensions,
            },
        };
        let end_tokens = codec.end_tokens();
        let constraints = ConstraintCompiler::new(Arc::new(grammars), &end_tokens)
            .map_err(|error| LoadError::Engine(format!("no thread can be started: {error}")))?;
        let reception = Reception { limits, end_tokens, constraints };
        Ok(LlamacppExecutor { description, codec, reception, life, thread })
    }
}

impl ExecutorFactory for LlamacppFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        // Twice what may run: what a caller sends while an ended sequence has not
        // yet given its slot back waits here. More is refused.
        let (work_in, work_out) = sync_channel(2 * self.config.max_batch_size as usize);
        let (reports_in, reports_out) = channel();
        let life = Life::begin();
        let handle = thread::Builder::new()
            .name(format!("llamacpp {}", self.config.model))
            .spawn({
                let (config, life) = (self.config.clone(), Arc::clone(&life));
                move || run_thread(&config, &work_out, &reports_in, &life)
            })
            .map_err(|error| LoadError::Engine(format!("no thread can be started: {error}")))?;
        let thread = EngineThread::new(work_in, handle);
        for report in reports_out {
            match report {
                Report::Stage(stage) => progress.stage(stage),
                Report::Failed(error) => return Err(error),
                Report::Ready(model, context_length) => {
                    return Ok(Arc::new(self.assemble(model, context_length, life, thread)?));
                }
            }
        }
        Err(LoadError::Engine("its thread panicked".into()))
    }
}

/// The model's vocabulary, as llguidance compiles grammars against it.
fn grammars(model: &LlamaModel) -> Result<ParserFactory, String> {
    let vocabulary = LlamaSampler::llguidance_tok_env(model);
    let mut grammars = ParserFactory::new_simple(&vocabulary).map_err(|error| error.to_string())?;
    grammars.quiet();
    Ok(grammars)
}

/// The engine's thread, from its first breath to its last.
fn run_thread(config: &LlamacppConfig, work: &Receiver<Work>, reports: &Sender<Report>, life: &Life) {
    // Nobody listens any more only if the loading itself was given up.
    let report = |report| {
        let _ = reports.send(report);
    };
    let stage = |stage| report(Report::Stage(stage));
    let model = match model::load(config, &stage) {
        Ok(model) => Arc::new(model),
        Err(error) => return report(Report::Failed(error)),
    };
    match model::engine(config, &model, &stage) {
        Ok((engine, context_length)) => {
            report(Report::Ready(Arc::clone(&model), context_length));
            let embedder = model::embedder(config, &model, context_length);
            life::run(engine, embedder, work, life);
        }
        Err(error) => report(Report::Failed(error)),
    }
}
