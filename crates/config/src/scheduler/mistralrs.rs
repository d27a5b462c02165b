//! Options of the engine mistral.rs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::ordered;

/// `[scheduler.mistralrs]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct MistralrsOptions {
    /// For the engine mistralrs: format of weights from safetensors in memory; native is
    /// the best one for the device. A GGUF file is used as it is.
    pub weight_format: WeightFormat,
    /// For the engine mistralrs on a GPU: whether the KV cache is allocated once and shared
    /// by all sequences in blocks of 32 tokens (PagedAttention). false: each sequence has
    /// tensors of its own, which grow with it.
    pub paged_attention: bool,
    /// For PagedAttention: capacity of the KV cache in tokens, for all sequences together.
    /// Default: max_batch_size sequences of max_context_length.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 32, max = 1_u64 << 30))]
    pub kv_cache_tokens: Option<u64>,
    /// For PagedAttention, instead of kv_cache_tokens: share of the GPU's memory that the
    /// weights, what else is on the GPU, and the KV cache may take together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.05, max = 0.98))]
    pub kv_cache_memory_share: Option<f64>,
    /// For PagedAttention: type of the numbers in the KV cache. auto is that of the
    /// activations; f8 takes half the memory of 16-bit floats and rounds more.
    pub kv_cache_type: KvCacheType,
    /// For the engine mistralrs on a GPU without PagedAttention: whether prompts reuse cached
    /// prefixes. mistral.rs shares them between all clients, so a client can find out from
    /// response times what another one has asked.
    pub prefix_cache: bool,
}

/// Type of the numbers in a KV cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KvCacheType {
    /// That of the activations.
    #[default]
    Auto,
    /// 8-bit floats with 4 bits of exponent (E4M3).
    F8,
}

/// Format of weights from safetensors in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    /// 32-bit floats on a CPU; on a GPU, bfloat16 if it supports that, else 16-bit floats.
    #[default]
    Native,
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16. Not on a CPU.
    Bf16,
    /// 8 bits in blocks of 32, quantised while loading.
    Q8_0,
}

impl Default for MistralrsOptions {
    fn default() -> Self {
        Self {
            weight_format: WeightFormat::default(),
            paged_attention: true,
            kv_cache_tokens: None,
            kv_cache_memory_share: None,
            kv_cache_type: KvCacheType::default(),
            prefix_cache: false,
        }
    }
}

impl MistralrsOptions {
    /// Keys that cannot be combined.
    pub(super) fn conflicts(&self) -> Vec<(&'static str, &'static str)> {
        let mut conflicts = Vec::new();
        if self.kv_cache_tokens.is_some() && self.kv_cache_memory_share.is_some() {
            conflicts.push((".mistralrs.kv_cache_memory_share", "set this or kv_cache_tokens, not both"));
        }
        let is_sized = self.kv_cache_tokens.is_some() || self.kv_cache_memory_share.is_some();
        if !self.paged_attention && (is_sized || self.kv_cache_type != KvCacheType::Auto) {
            conflicts
                .push((".mistralrs.paged_attention", "is false, so the keys kv_cache_… have no effect; remove them"));
        }
        conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflicting_keys(options: &MistralrsOptions) -> Vec<&'static str> {
        options.conflicts().into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn the_kv_cache_is_sized_in_one_way_and_only_with_paged_attention() {
        let default = MistralrsOptions::default();
        assert_eq!(conflicting_keys(&default), [""; 0]);
        let tokens = MistralrsOptions { kv_cache_tokens: Some(4096), ..default };
        assert_eq!(conflicting_keys(&tokens), [""; 0]);
        let both = MistralrsOptions { kv_cache_memory_share: Some(0.9), ..tokens };
        assert_eq!(conflicting_keys(&both), [".mistralrs.kv_cache_memory_share"]);
        for sized in [tokens, MistralrsOptions { kv_cache_type: KvCacheType::F8, ..default }] {
            let unpaged = MistralrsOptions { paged_attention: false, ..sized };
            assert_eq!(conflicting_keys(&unpaged), [".mistralrs.paged_attention"]);
        }
    }
}
