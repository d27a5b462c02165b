//! Resolves a configured model to the files that an engine loads.

use std::path::PathBuf;

use hostler_config::{Config, ModelsConfig, NamedScheduler};
use hostler_models::{Converter, Installed, ModelError, ModelRef, Store};
use hostler_protocol::{Engine, ModelDescription, ModelId};

use crate::failure::Usage;
use crate::progress::PullBar;

/// A model that a scheduler serves.
pub(crate) struct Prepared {
    /// The name by which clients request it.
    pub(crate) name: ModelId,
    /// A GGUF file or a directory. Empty for the simulated engine.
    pub(crate) path: PathBuf,
}

/// The configured store.
pub(crate) fn store(config: &ModelsConfig) -> anyhow::Result<Store> {
    let nowhere = || {
        Usage("none of models.store, XDG_DATA_HOME and HOME is set, so there is no place to store models".to_owned())
    };
    let store = config.store.clone().map(Store::at).or_else(Store::of_user);
    Ok(store.ok_or_else(nowhere)?)
}

/// Finds a scheduler's model; downloads it first if it is not in the store.
pub(crate) fn prepare(config: &Config, scheduler: &NamedScheduler) -> anyhow::Result<Prepared> {
    let spec = &scheduler.spec;
    let named = |name: String| ModelId::new(spec.served_name.clone().unwrap_or(name));
    if spec.engine == Engine::Simulated {
        return Ok(Prepared { name: named(spec.model.clone()), path: PathBuf::new() });
    }
    let model: ModelRef = spec.model.parse()?;
    let store = store(&config.models)?;
    let path = match store.find(&model) {
        Err(ModelError::NotPulled(_)) => pull(&store, &model)?.path,
        Err(error @ ModelError::Corrupt { .. }) => {
            eprintln!("{error}; downloading it again");
            pull(&store, &model)?.path
        }
        found => found?,
    };
    Ok(Prepared { name: named(model.served_name()), path })
}

/// What is served, and how, for people.
pub(crate) fn served_line(description: &ModelDescription) -> String {
    let ModelDescription { model, engine, device, weight_format, .. } = description;
    match engine {
        Engine::Simulated => format!("serving {model}, simulated: no model runs, and its text has no meaning"),
        _ => format!("serving {model} ({weight_format}) by {} on {device}", engine.as_str()),
    }
}

/// Downloads a model and shows the progress.
pub(crate) fn pull(store: &Store, model: &ModelRef) -> Result<Installed, ModelError> {
    let bar = PullBar::new();
    store.pull(model, CONVERTER, &bar)
}

/// mistral.rs runs 8-bit weights fastest on a CPU, and so does llama.cpp.
#[cfg(feature = "mistralrs")]
const CONVERTER: Option<Converter<'static>> = Some(&|source, target, progress| {
    hostler_executor_mistralrs::requantise_gguf(source, target, progress).map_err(|error| error.to_string())
});

/// Only mistral.rs's libraries can convert a model; without them it is used as downloaded.
#[cfg(not(feature = "mistralrs"))]
const CONVERTER: Option<Converter<'static>> = None;
