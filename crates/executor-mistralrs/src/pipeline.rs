//! Loads a model with mistral.rs's loaders, and reads its properties.

use std::num::NonZeroUsize;
use std::sync::Arc;

use candle_core::Device;
use hostler_executor::LoadError;
use hostler_executor_kit::ChatTemplate;
use hostler_protocol::TokenId;
use mistralrs::core::llguidance::ParserFactory;
use mistralrs::core::{
    ChatTemplate as EngineTemplate, DefaultSchedulerMethod, DeviceMapSetting, IsqType, MemoryGpuConfig, ModelDType,
    PagedAttentionConfig, PagedCacheType, Pipeline, SchedulerConfig, paged_attn_supported,
};
use tokenizers::Tokenizer;
use tokio::sync::Mutex;

use crate::weights::{gguf_weight_format, weight_bytes};
use crate::{KvCacheType, MistralrsConfig, WeightFormat};

/// Tokens in one block of PagedAttention's cache: the maximum of its kernels.
const PAGED_BLOCK_TOKENS: usize = 32;

/// mistral.rs's loaded model.
pub(crate) type SharedPipeline = Arc<Mutex<dyn Pipeline>>;

/// A loaded model and its properties.
pub(crate) struct Loaded {
    pub(crate) pipeline: SharedPipeline,
    pub(crate) tokenizer: Arc<Tokenizer>,
    pub(crate) template: Option<ChatTemplate>,
    pub(crate) grammars: Arc<ParserFactory>,
    pub(crate) end_tokens: Vec<TokenId>,
    pub(crate) context_length: u32,
    pub(crate) weight_format: String,
    pub(crate) weight_bytes: u64,
    /// The configuration of mistral.rs's own scheduler and its cache.
    pub(crate) scheduler: SchedulerConfig,
    /// Capacity of the KV cache in tokens, if one was allocated for all sequences.
    pub(crate) kv_capacity_tokens: Option<u64>,
}

/// Loads the model. Blocks, and may panic.
///
/// # Errors
/// [`LoadError`].
pub(crate) fn load(config: &MistralrsConfig, max_sequences: NonZeroUsize) -> Result<Loaded, LoadError> {
    let device = config.device.open()?;
    load_on(config, max_sequences, &device)
        .map_err(|reason| LoadError::Model { path: config.source.to_string(), reason })
}

fn load_on(config: &MistralrsConfig, max_sequences: NonZeroUsize, device: &Device) -> Result<Loaded, String> {
    let files = config.source.locate()?;
    let requantised = config.options.weight_format == WeightFormat::Q8_0 && !files.is_gguf();
    let loader = files.loader()?;
    let pipeline: SharedPipeline = loader
        .load_model_from_hf(
            files.revision.clone(),
            files.token_source(),
            &dtype(config),
            device,
            true,
            // Otherwise mistral.rs opens all GPUs of the machine.
            DeviceMapSetting::dummy(),
            requantised.then_some(IsqType::Q8_0),
            paged_attention(config, max_sequences)?,
        )
        .map_err(|error| format!("{error:#}"))?;
    let mut loaded = describe(pipeline, max_sequences)?;
    if let Some(weights) = files.weights() {
        loaded.weight_bytes = weight_bytes(&weights);
        if files.is_gguf() {
            loaded.weight_format = gguf_weight_format(&weights).map_err(|error| error.to_string())?;
        }
    }
    if requantised {
        "Q8_0".clone_into(&mut loaded.weight_format);
    }
    Ok(loaded)
}

/// Reads the properties of a pipeline that is not shared yet.
fn describe(pipeline: SharedPipeline, max_sequences: NonZeroUsize) -> Result<Loaded, String> {
    let guard = pipeline.try_lock().map_err(|error| error.to_string())?;
    let metadata = guard.get_metadata();
    let tokenizer = guard.tokenizer().ok_or("the model has no tokenizer")?;
    let grammars = metadata.llg_factory.clone().ok_or("the model does not generate text")?;
    if metadata.eos_tok.is_empty() {
        return Err("the model has no end-of-sequence token".to_owned());
    }
    let (scheduler, kv_capacity_tokens) = match &metadata.cache_config {
        Some(cache) => {
            let capacity = cache.num_gpu_blocks as u64 * cache.block_size as u64;
            let scheduler =
                SchedulerConfig::PagedAttentionMeta { max_num_seqs: max_sequences.get(), config: cache.clone() };
            (scheduler, Some(capacity))
        }
        None => (SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(max_sequences) }, None),
    };
    let template = guard.get_chat_template().and_then(|template| chat_template(&template)).transpose()?;
    let end_tokens = metadata.eos_tok.clone();
    let context_length = u32::try_from(metadata.max_seq_len).unwrap_or(u32::MAX);
    // The format of safetensors in memory; that of a GGUF file is read from the file.
    let weight_format = format!("{:?}", metadata.activation_dtype);
    drop(guard);
    Ok(Loaded {
        pipeline,
        tokenizer,
        template,
        grammars,
        end_tokens,
        context_length,
        weight_format,
        weight_bytes: 0,
        scheduler,
        kv_capacity_tokens,
    })
}

/// The model's chat template; `None` if it has none.
fn chat_template(template: &EngineTemplate) -> Option<Result<ChatTemplate, String>> {
    let source = match template.chat_template.as_ref()?.0.as_ref().left() {
        Some(source) => source,
        // Several named templates: use the one for plain conversations.
        None => {
            let named = template.chat_template.as_ref()?.0.as_ref().right()?;
            let default = named.iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            default.or_else(|| named.first())?.get("template")?
        }
    };
    let token = |token: Option<String>| token.unwrap_or_default();
    Some(ChatTemplate::compile(source, token(template.bos_tok()), token(template.eos_tok())))
}

/// The data type of activations, and of weights from safetensors.
fn dtype(config: &MistralrsConfig) -> ModelDType {
    match config.options.weight_format {
        // candle does not support bfloat16 products on a CPU, which mistral.rs would only
        // notice at the first request.
        WeightFormat::Native | WeightFormat::Q8_0 if config.device.is_cpu() => ModelDType::F32,
        WeightFormat::Native | WeightFormat::Q8_0 => ModelDType::Auto,
        WeightFormat::F32 => ModelDType::F32,
        WeightFormat::F16 => ModelDType::F16,
        WeightFormat::Bf16 => ModelDType::BF16,
    }
}

/// PagedAttention's cache; `None` on a CPU, or if it is switched off.
fn paged_attention(
    config: &MistralrsConfig,
    max_sequences: NonZeroUsize,
) -> Result<Option<PagedAttentionConfig>, String> {
    if config.device.is_cpu() || !config.options.paged_attention || !paged_attn_supported() {
        return Ok(None);
    }
    let (memory, cache_type) = kv_cache(config, max_sequences);
    PagedAttentionConfig::new(Some(PAGED_BLOCK_TOKENS), memory, cache_type).map(Some).map_err(|error| error.to_string())
}

/// The size and the type of PagedAttention's cache.
fn kv_cache(config: &MistralrsConfig, max_sequences: NonZeroUsize) -> (MemoryGpuConfig, PagedCacheType) {
    let options = &config.options;
    let all_sequences = u64::from(config.max_context_length) * max_sequences.get() as u64;
    let memory = match options.kv_cache_memory_share {
        Some(share) => MemoryGpuConfig::Utilization(share as f32),
        None => MemoryGpuConfig::ContextSize(options.kv_cache_tokens.unwrap_or(all_sequences) as usize),
    };
    let cache_type = match options.kv_cache_type {
        KvCacheType::Auto => PagedCacheType::Auto,
        KvCacheType::F8 => PagedCacheType::F8E4M3,
    };
    (memory, cache_type)
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ModelId;

    use super::*;
    use crate::{Device, ModelSource};

    fn config() -> MistralrsConfig {
        let source = ModelSource::Folder("model".into());
        MistralrsConfig {
            device: Device::Cuda(0),
            max_context_length: 1000,
            ..MistralrsConfig::new(ModelId::new("m"), source)
        }
    }

    fn eight() -> NonZeroUsize {
        NonZeroUsize::new(8).expect("not zero")
    }

    #[test]
    fn the_cache_holds_every_sequence_unless_it_is_sized_by_tokens_or_by_memory() {
        assert!(matches!(kv_cache(&config(), eight()), (MemoryGpuConfig::ContextSize(8000), PagedCacheType::Auto)));
        let mut by_tokens = config();
        by_tokens.options.kv_cache_tokens = Some(4096);
        assert!(matches!(kv_cache(&by_tokens, eight()).0, MemoryGpuConfig::ContextSize(4096)));
        let mut by_memory = config();
        by_memory.options.kv_cache_memory_share = Some(0.5);
        assert!(matches!(kv_cache(&by_memory, eight()).0, MemoryGpuConfig::Utilization(share) if share == 0.5));
        let mut f8 = config();
        f8.options.kv_cache_type = KvCacheType::F8;
        assert!(matches!(kv_cache(&f8, eight()).1, PagedCacheType::F8E4M3));
    }

    #[test]
    fn a_cpu_has_no_paged_cache_and_a_gpu_only_if_it_is_wanted() {
        let mut cpu = config();
        cpu.device = Device::Cpu(None);
        let mut unpaged = config();
        unpaged.options.paged_attention = false;
        for config in [cpu, unpaged] {
            assert!(paged_attention(&config, eight()).expect("valid").is_none());
        }
        assert_eq!(paged_attention(&config(), eight()).expect("valid").is_some(), cfg!(feature = "cuda"));
    }
}
