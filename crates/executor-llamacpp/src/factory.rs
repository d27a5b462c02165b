//! Loads models on llama.cpp.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use hostler_executor::{EngineStatus, ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_executor_kit::{GenerationBuilder, Limits, TOP_LOGPROBS_MAX};
use hostler_protocol::{Batching, Capabilities, Driving, Engine as EngineKind, ModelDescription, Prefill};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::ParserFactory;

use crate::codec::LlamaCodec;
use crate::config::LlamacppConfig;
use crate::embedding::Pooling;
use crate::executor::LlamacppExecutor;
use crate::thread::{self, EngineThread, Work};
use crate::{gguf, model};

/// Loads one model on llama.cpp, any number of times.
#[derive(Clone, Debug)]
pub struct LlamacppFactory {
    config: LlamacppConfig,
}

/// What the engine's thread reports during loading.
enum Report {
    Stage(LoadStage),
    /// The model, and its context length.
    Ready(Arc<LlamaModel>, u32),
    Failed(LoadError),
}

impl LlamacppFactory {
    /// Creates a factory without loading the model.
    #[must_use]
    pub fn new(config: LlamacppConfig) -> Self {
        Self { config }
    }

    /// Builds the executor of a model that the thread has loaded.
    fn assemble(
        &self,
        model: Arc<LlamaModel>,
        context_length: u32,
        status: Arc<EngineStatus>,
        thread: EngineThread,
    ) -> Result<LlamacppExecutor, LoadError> {
        let grammars = grammars(&model).map_err(LoadError::Engine)?;
        let weight_bytes = model.size();
        let dimensions = Pooling::of(&model).map(|_| model.n_embd_out().unsigned_abs());
        let codec = LlamaCodec::new(model, self.config.tool_format)
            .map_err(|reason| LoadError::Model { path: self.config.path.display().to_string(), reason })?;
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
            dialect: codec.dialect(),
        };
        let end_tokens = codec.end_tokens();
        let constraints = ConstraintCompiler::new(Arc::new(grammars), &end_tokens)
            .map_err(|error| LoadError::Engine(format!("cannot start a thread: {error}")))?;
        let builder = GenerationBuilder { limits, end_tokens, constraints };
        Ok(LlamacppExecutor { description, codec, builder, status, thread })
    }
}

impl ExecutorFactory for LlamacppFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        // Twice the number of running sequences, because a caller may submit a new one
        // before an ended one has freed its slot. More are rejected.
        let (work_in, work_out) = sync_channel(2 * self.config.max_batch_size as usize);
        let (reports_in, reports_out) = channel();
        let status = Arc::<EngineStatus>::default();
        let handle = std::thread::Builder::new()
            .name(format!("llamacpp {}", self.config.model))
            .spawn({
                let (config, status) = (self.config.clone(), Arc::clone(&status));
                move || load_and_run(&config, &work_out, &reports_in, &status)
            })
            .map_err(|error| LoadError::Engine(format!("cannot start a thread: {error}")))?;
        let thread = EngineThread::new(work_in, handle);
        for report in reports_out {
            match report {
                Report::Stage(stage) => progress.stage(stage),
                Report::Failed(error) => return Err(error),
                Report::Ready(model, context_length) => {
                    return Ok(Arc::new(self.assemble(model, context_length, status, thread)?));
                }
            }
        }
        Err(LoadError::Engine("the engine's thread panicked".into()))
    }
}

/// llguidance's parser factory for the model's vocabulary.
fn grammars(model: &LlamaModel) -> Result<ParserFactory, String> {
    let vocabulary = LlamaSampler::llguidance_tok_env(model);
    let mut grammars = ParserFactory::new_simple(&vocabulary).map_err(|error| error.to_string())?;
    grammars.quiet();
    Ok(grammars)
}

/// The engine's thread: loads the model and runs the engine.
fn load_and_run(config: &LlamacppConfig, work: &Receiver<Work>, reports: &Sender<Report>, status: &Arc<EngineStatus>) {
    // The receiver is dropped only if the caller has abandoned the loading.
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
            thread::run(engine, embedder, work, status);
        }
        Err(error) => report(Report::Failed(error)),
    }
}
