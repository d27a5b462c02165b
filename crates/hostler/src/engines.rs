//! The engine that runs a scheduler's model. An engine that this binary was built without is
//! refused by name.

use std::sync::Arc;

use anyhow::bail;
use hostler_config::NamedScheduler;
use hostler_executor::ExecutorFactory;
use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};
use hostler_protocol::Engine;

use crate::failure::Usage;
use crate::models::Prepared;

/// A factory of engines for one scheduler. It loads nothing yet.
pub(crate) fn factory(scheduler: &NamedScheduler, model: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    match scheduler.spec.engine {
        Engine::Mistralrs => mistralrs(scheduler, model),
        Engine::Llamacpp => llamacpp(scheduler, model),
        Engine::Simulated => simulated(scheduler, model),
    }
}

/// Refuses a configuration that the engine would reject, before a process is started for it.
pub(crate) fn check_spec(scheduler: &NamedScheduler, model: &Prepared) -> anyhow::Result<()> {
    match scheduler.spec.engine {
        // The device is checked in the child process, which is bound to it.
        Engine::Mistralrs => check(Engine::Mistralrs),
        Engine::Llamacpp | Engine::Simulated => factory(scheduler, model).map(drop),
    }
}

/// Refuses an engine that is not in this binary.
pub(crate) fn check(engine: Engine) -> anyhow::Result<()> {
    let (held, feature) = match engine {
        Engine::Mistralrs => (cfg!(feature = "mistralrs"), "mistralrs"),
        Engine::Llamacpp => (cfg!(feature = "llamacpp"), "llamacpp"),
        Engine::Simulated => (true, ""),
    };
    if held {
        return Ok(());
    }
    let mut others = vec!["simulated"];
    others.extend(cfg!(feature = "mistralrs").then_some("mistralrs"));
    others.extend(cfg!(feature = "llamacpp").then_some("llamacpp"));
    bail!(Usage(format!(
        "engine {} is not in this binary, which has {}; build with `cargo build --features {feature}`",
        engine.as_str(),
        others.join(", ")
    )))
}

fn simulated(scheduler: &NamedScheduler, model: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    let wrong = |message: String| Usage(format!("schedulers.{}.simulated: {message}", scheduler.name));
    let config: SimulatedConfig = scheduler.simulated().map_err(|problem| Usage(problem.to_string()))?;
    let factory = SimulatedFactory::new(model.name.clone(), config).map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(factory))
}

#[cfg(feature = "mistralrs")]
fn mistralrs(scheduler: &NamedScheduler, model: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    use hostler_config::Device;
    use hostler_executor_mistralrs::{MistralrsConfig, MistralrsFactory, ModelSource};

    let spec = &scheduler.spec;
    if let Device::Cores(cores) = &spec.device
        && !crate::process::is_bound_to(cores)
    {
        bail!(Usage(format!(
            "schedulers.{}.device: mistralrs shares its threads with the whole process and cannot be bound to {cores}; \
             use isolation = \"process\"",
            scheduler.name
        )));
    }
    let source = if model.path.is_dir() {
        ModelSource::Folder(model.path.clone())
    } else {
        ModelSource::Gguf(model.path.clone())
    };
    Ok(Arc::new(MistralrsFactory::new(MistralrsConfig {
        device: resolve(&spec.device).parse()?,
        options: spec.mistralrs.clone(),
        tool_format: spec.tool_format,
        max_batch_size: spec.max_batch_size,
        max_context_length: spec.max_context_length,
        ..MistralrsConfig::new(model.name.clone(), source)
    })))
}

#[cfg(feature = "llamacpp")]
fn llamacpp(scheduler: &NamedScheduler, model: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    use hostler_executor_llamacpp::{LlamacppConfig, LlamacppFactory};

    let spec = &scheduler.spec;
    if model.path.is_dir() {
        bail!(Usage(format!(
            "schedulers.{}.model: llamacpp loads GGUF files, and {} is a directory",
            scheduler.name,
            model.path.display()
        )));
    }
    Ok(Arc::new(LlamacppFactory::new(LlamacppConfig {
        device: resolve(&spec.device).parse()?,
        max_batch_size: spec.max_batch_size,
        max_context_length: spec.max_context_length,
        prefill_chunk_tokens: spec.llamacpp.prefill_chunk_tokens,
        threads: spec.llamacpp.threads,
        tool_format: spec.tool_format,
        ..LlamacppConfig::new(model.name.clone(), model.path.clone())
    })))
}

#[cfg(not(feature = "mistralrs"))]
fn mistralrs(_: &NamedScheduler, _: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    check(Engine::Mistralrs)?;
    unreachable!("this binary was built without mistralrs, so the check above has failed")
}

#[cfg(not(feature = "llamacpp"))]
fn llamacpp(_: &NamedScheduler, _: &Prepared) -> anyhow::Result<Arc<dyn ExecutorFactory>> {
    check(Engine::Llamacpp)?;
    unreachable!("this binary was built without llamacpp, so the check above has failed")
}

/// The device as engines spell it.
#[cfg(any(feature = "mistralrs", feature = "llamacpp"))]
fn resolve(device: &hostler_config::Device) -> String {
    match device {
        hostler_config::Device::Auto => crate::gpu::automatic_device(),
        named => named,
    }
    .to_string()
}
