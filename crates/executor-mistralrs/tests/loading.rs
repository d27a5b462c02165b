//! Loading: errors, and a generated folder of safetensors.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device as TensorDevice, Tensor};
use hostler_executor::{ExecutorFactory, LoadError};
use hostler_executor_mistralrs::{Device, MistralrsConfig, MistralrsFactory, ModelSource, WeightFormat};
use hostler_protocol::ModelId;
use serde_json::json;

use support::{collect, endless};

/// 256 bytes and an end-of-sequence token.
const VOCABULARY: usize = 257;
const HIDDEN: usize = 64;
const LAYERS: usize = 2;

fn config(source: ModelSource) -> MistralrsConfig {
    MistralrsConfig::new(ModelId::new("test-model"), source)
}

fn load_error(config: MistralrsConfig) -> LoadError {
    MistralrsFactory::new(config).load(&()).err().expect("it cannot be loaded")
}

#[test]
fn load_errors_contain_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = load_error(config(ModelSource::Gguf(folder.path().join("none.gguf"))));
    assert!(missing.to_string().contains("no such file"), "{missing}");
    let garbage = folder.path().join("garbage.gguf");
    fs::write(&garbage, b"this is not a model").expect("a file");
    let error = load_error(config(ModelSource::Gguf(garbage)));
    assert!(error.to_string().contains("garbage.gguf"), "{error}");
    let error = load_error(config(ModelSource::Folder(folder.path().to_owned())));
    assert!(error.to_string().contains("config.json"), "{error}");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn an_unsupported_device_is_rejected_before_any_file_is_read() {
    let mut config = config(ModelSource::Gguf("none.gguf".into()));
    config.device = Device::Cuda(0);
    assert!(matches!(load_error(config), LoadError::Device { device, .. } if device == "cuda:0"));
}

#[test]
fn a_folder_of_safetensors_is_served_in_each_cpu_format() {
    let folder = tempfile::tempdir().expect("a folder");
    write_model(folder.path());
    for (format, name) in [(WeightFormat::Native, "F32"), (WeightFormat::F16, "F16"), (WeightFormat::Q8_0, "Q8_0")] {
        let mut config = config(ModelSource::Folder(folder.path().to_owned()));
        config.options.weight_format = format;
        let executor = MistralrsFactory::new(config).load(&()).expect("the model loads");
        let description = executor.description();
        assert_eq!(description.weight_format, name);
        assert_eq!(description.context_length, 128, "the model's limit is below the configured one");
        assert_eq!(description.vocabulary_size as usize, VOCABULARY);
        assert!(description.weight_bytes > 0);
        assert!(!description.capabilities.chat);
        let sequence = endless(&*executor, "abc", 20);
        assert_eq!(sequence.tokens.len(), 3);
        let (first, end) = collect(executor.generate(sequence.clone()));
        assert_eq!(end.expect("it finishes").usage.completion_tokens, 20);
        assert_eq!(collect(executor.generate(sequence)).0, first, "{name}");
    }
}

/// A tiny Llama with random weights.
fn write_model(folder: &Path) {
    let write = |name: &str, value: serde_json::Value| fs::write(folder.join(name), value.to_string()).expect("a file");
    write(
        "config.json",
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
            "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": false, "torch_dtype": "float32",
        }),
    );
    write("tokenizer_config.json", json!({ "eos_token": "<end>" }));
    let end = json!({
        "id": VOCABULARY - 1, "content": "<end>", "special": true,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    });
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    let vocabulary: HashMap<String, usize> = byte_characters().zip(0..).map(|(c, id)| (c.to_string(), id)).collect();
    write(
        "tokenizer.json",
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [end], "normalizer": null,
            "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
            "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
        }),
    );
    candle_core::safetensors::save(&weights(), folder.join("model.safetensors")).expect("the weights are written");
}

/// The characters that represent the 256 bytes in a byte-level vocabulary.
fn byte_characters() -> impl Iterator<Item = char> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 256..;
    (0_u32..256).map(move |byte| {
        let code = if printable(byte) { byte } else { others.next().expect("it has no end") };
        char::from_u32(code).expect("below the surrogates")
    })
}

fn weights() -> HashMap<String, Tensor> {
    let mut weights = HashMap::new();
    let mut add = |name: String, rows: usize, columns: usize| {
        let tensor = Tensor::randn(0.0_f32, 0.1, (rows, columns), &TensorDevice::Cpu).expect("random numbers");
        weights.insert(name, tensor);
    };
    add("model.embed_tokens.weight".into(), VOCABULARY, HIDDEN);
    add("lm_head.weight".into(), VOCABULARY, HIDDEN);
    for layer in 0..LAYERS {
        for (part, rows, columns) in [
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", HIDDEN / 2, HIDDEN),
            ("self_attn.v_proj", HIDDEN / 2, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", 2 * HIDDEN, HIDDEN),
            ("mlp.up_proj", 2 * HIDDEN, HIDDEN),
            ("mlp.down_proj", HIDDEN, 2 * HIDDEN),
        ] {
            add(format!("model.layers.{layer}.{part}.weight"), rows, columns);
        }
    }
    let norms = (0..LAYERS).flat_map(|layer| {
        ["input_layernorm", "post_attention_layernorm"].map(|norm| format!("model.layers.{layer}.{norm}.weight"))
    });
    for name in norms.chain(["model.norm.weight".to_owned()]) {
        weights.insert(name, Tensor::ones(HIDDEN, DType::F32, &TensorDevice::Cpu).expect("ones"));
    }
    weights
}
