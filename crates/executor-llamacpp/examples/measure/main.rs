//! Measures the engine without schedulers or HTTP.
//!
//! ```text
//! cargo run -p hostler-executor-llamacpp --example measure -- MODEL.gguf throughput [PATTERN] [CONCURRENCY]
//! cargo run -p hostler-executor-llamacpp --example measure -- MODEL.gguf gap
//! cargo run -p hostler-executor-llamacpp --example measure -- MODEL.gguf prefix
//! cargo run -p hostler-executor-llamacpp --example measure -- MODEL.gguf drift
//! cargo run -p hostler-executor-llamacpp --example measure -- MODEL.gguf workload PATTERN
//! ```
//!
//! `PATTERN` is `like` (prompts and answers of equal length) or `unlike` (prompts of 10 to
//! 200 tokens, answers of 10 to 100). `workload` prints the requests as JSON, to send the
//! same load to another server. Environment variables: `DEVICE`, `THREADS`, `BATCH`,
//! `CHUNK`, `ROUNDS`, `REQUESTS`.

mod drift;
mod gap;
mod prefix;
mod throughput;
mod workload;

use std::sync::Arc;

use hostler_executor::{ExecutorFactory, ModelExecutor};
use hostler_executor_llamacpp::{Device, LlamacppConfig, LlamacppFactory};
use hostler_protocol::ModelId;

use crate::workload::{Pattern, setting};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [model, command, rest @ ..] = arguments.as_slice() else { return usage() };
    let pattern = rest.first().map_or(Some(Pattern::Like), |name| Pattern::named(name));
    let concurrency = rest.get(1).map_or(Ok(8), |text| text.parse());
    let (Some(pattern), Ok(concurrency)) = (pattern, concurrency) else { return usage() };
    match *command {
        "throughput" => throughput::measure(&*load(model, None), pattern, concurrency),
        "workload" => workload::print(&*load(model, None), pattern),
        "gap" => gap::measure(&|chunk| load(model, Some(chunk))),
        "drift" => drift::measure(&*load(model, None), &*load(model, None)),
        "prefix" => prefix::measure(&*load(model, None)),
        _ => usage(),
    }
}

fn usage() {
    eprintln!("usage: measure MODEL.gguf throughput|workload|gap|prefix|drift [like|unlike] [CONCURRENCY]");
}

fn load(path: &str, chunk: Option<u32>) -> Arc<dyn ModelExecutor> {
    let mut config = LlamacppConfig::new(ModelId::new("measured"), path);
    config.device = setting("DEVICE").unwrap_or(Device::Cpu(None));
    config.threads = setting("THREADS");
    config.max_batch_size = setting("BATCH").unwrap_or(config.max_batch_size);
    config.prefill_chunk_tokens = chunk.or(setting("CHUNK")).unwrap_or(config.prefill_chunk_tokens);
    LlamacppFactory::new(config).load(&()).expect("the model loads")
}
