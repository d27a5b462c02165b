//! Creates llama.cpp's model and contexts from the configuration.

use std::num::NonZeroU32;
use std::sync::OnceLock;

use hostler_executor::{LoadError, LoadStage};
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, list_llama_ggml_backend_devices, send_logs_to_tracing};

use crate::config::LlamacppConfig;
use crate::cores::default_thread_count;
use crate::device::{Device, GpuBackend};
use crate::embedding::{Embedder, LlamaEmbeddingForward, Pooling};
use crate::engine::{ChunkBudget, Engine, FeedRow, Forward, LlamaForward, ReusePolicy};

/// Maximum prompt tokens in one step while no sequence decodes. Larger chunks are not
/// faster, and a cancelled prefill only stops at the end of a step.
const PREFILL_CHUNK_ALONE: usize = 256;

/// Maximum tokens of a text that one step processes for its embedding. From 64 tokens on,
/// llama.cpp uses a faster attention kernel; more tokens need more memory, because
/// llama.cpp computes the (unused) logits of every token of a pass.
const EMBEDDING_CHUNK_MAX: u32 = 64;

/// A copy of a slot copies all of the slot's memory, regardless of how much is used. It
/// costs about as much as the prefill of this fraction of the context, so it must save
/// more than that.
const COPY_SAVES_MIN_PER_CONTEXT: u32 = 32;

/// llama.cpp's process-wide state. It is initialised once and kept, so that models can be
/// loaded and dropped.
fn backend() -> Result<&'static LlamaBackend, LoadError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().map_err(|error| error.to_string())
    });
    backend.as_ref().map_err(|error| LoadError::Engine(error.clone()))
}

/// Loads the weights, memory-mapped, so that processes with the same file share them.
/// Binds this thread, and with it the threads that llama.cpp starts, to the device's cores.
pub(crate) fn load(config: &LlamacppConfig, stage: &dyn Fn(LoadStage)) -> Result<LlamaModel, LoadError> {
    let unreadable = |reason: String| LoadError::Model { path: config.path.display().to_string(), reason };
    let backend = backend()?;
    let params = model_params(&config.device)?;
    std::fs::File::open(&config.path).map_err(|error| unreadable(error.to_string()))?;
    stage(LoadStage::Weights);
    LlamaModel::load_from_file(backend, &config.path, &params)
        .map_err(|_| unreadable("llama.cpp cannot load it; its log (target llama-cpp-2) contains the reason".into()))
}

fn model_params(device: &Device) -> Result<LlamaModelParams, LoadError> {
    let params = LlamaModelParams::default().with_use_mmap(true);
    let error = |reason: String| LoadError::Device { device: device.to_string(), reason };
    match *device {
        Device::Cpu(ref cores) => {
            if let Some(cores) = cores {
                cores.bind_this_thread().map_err(|reason| error(reason.to_string()))?;
            }
            Ok(params.with_n_gpu_layers(0))
        }
        Device::Gpu { backend, index } => {
            let device = gpu(backend, index).map_err(error)?;
            params.with_devices(&[device]).map_err(|reason| error(reason.to_string()))
        }
    }
}

/// llama.cpp's index of a GPU.
fn gpu(backend: GpuBackend, index: usize) -> Result<usize, String> {
    let name = backend.as_str();
    if !backend.is_built_in() {
        return Err(format!("this build does not support it; build with the cargo feature `{name}`"));
    }
    let all = list_llama_ggml_backend_devices();
    let mut of_backend = all.iter().filter(|device| device.backend == backend.ggml_name());
    let count = of_backend.clone().count();
    of_backend.nth(index).map(|device| device.index).ok_or_else(|| format!("there are {count} {name} devices here"))
}

/// Creates and warms up the engine of a loaded model; returns it with its context length.
pub(crate) fn engine<'model>(
    config: &LlamacppConfig,
    model: &'model LlamaModel,
    stage: &dyn Fn(LoadStage),
) -> Result<(Engine<LlamaForward<'model>>, u32), LoadError> {
    let trained_for = model.n_ctx_train();
    let context_length = config.max_context_length.min(trained_for);
    if context_length < config.max_context_length {
        tracing::warn!(max_context_length = config.max_context_length, trained_for, "the model's context is shorter");
    }
    let slots = config.max_batch_size as usize;
    let budget = ChunkBudget {
        with_decoding: config.prefill_chunk_tokens as usize,
        alone: PREFILL_CHUNK_ALONE.max(config.prefill_chunk_tokens as usize),
    };
    let batch_tokens = slots + budget.alone;
    let params = context_params(config, context_length, batch_tokens as u32);
    let context = model.new_context(backend()?, params).map_err(|error| LoadError::Engine(error.to_string()))?;
    let mut forward = LlamaForward::new(context, batch_tokens);
    stage(LoadStage::WarmUp);
    warm_up(&mut forward).map_err(LoadError::Engine)?;
    let policy = if model.is_recurrent() || model.is_hybrid() {
        // A recurrent state cannot be truncated to a shorter prefix.
        ReusePolicy::Never
    } else {
        ReusePolicy::SharedPrefix { copy_saves_min: (context_length / COPY_SAVES_MIN_PER_CONTEXT) as usize }
    };
    Ok((Engine::new(forward, slots, policy, budget), context_length))
}

/// Creates the embedder of a loaded model. It shares the weights, and allocates its own
/// memory for the first text.
pub(crate) fn embedder<'model>(
    config: &LlamacppConfig,
    model: &'model LlamaModel,
    context_length: u32,
) -> Embedder<LlamaEmbeddingForward<'model>> {
    let chunk = config.prefill_chunk_tokens.min(EMBEDDING_CHUNK_MAX);
    let single = LlamacppConfig { max_batch_size: 1, ..config.clone() };
    let params =
        context_params(&single, context_length, chunk).with_embeddings(true).with_pooling_type(LlamaPoolingType::None);
    let forward = LlamaEmbeddingForward::new(chunk as usize, move || {
        let backend = backend().map_err(|error| error.to_string())?;
        model.new_context(backend, params.clone()).map_err(|error| error.to_string())
    });
    // A reranking model gets no texts, because its description declares no embeddings.
    Embedder::new(forward, Pooling::of(model).unwrap_or(Pooling::Mean), chunk as usize)
}

fn context_params(config: &LlamacppConfig, context_length: u32, batch_tokens: u32) -> LlamaContextParams {
    let threads = match (config.threads, &config.device) {
        (Some(threads), _) => threads as usize,
        (None, Device::Cpu(Some(cores))) => cores.count(),
        (None, _) => default_thread_count(),
    };
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    // Separate KV streams, so that attention only scans the keys of its own sequence, and
    // not those of others or of cached prefixes.
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(context_length * config.max_batch_size))
        .with_n_seq_max(config.max_batch_size)
        .with_kv_unified(false)
        .with_n_batch(batch_tokens)
        .with_n_ubatch(batch_tokens)
        .with_n_threads(threads)
        .with_n_threads_batch(threads)
        .with_no_perf(true)
}

/// Runs one pass over the weights, which reads the file into memory.
fn warm_up(forward: &mut impl Forward) -> Result<(), String> {
    forward.feed(&[FeedRow { slot: 0, position: 0, tokens: &[0], wants_logits: true }])?;
    forward.truncate(0, 0);
    Ok(())
}
