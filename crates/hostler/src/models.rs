//! From what the configuration calls a model to what an engine can load.

use std::path::PathBuf;

use hostler_config::{Config, ModelsConfig, NamedScheduler};
use hostler_models::{Converter, Installed, ModelError, ModelRef, Store};
use hostler_protocol::{Engine, ModelId};

use crate::failure::Usage;
use crate::progress::PullBar;

/// A model that a scheduler serves.
pub(crate) struct Prepared {
    /// The name that clients write.
    pub(crate) name: ModelId,
    /// A GGUF file, or a folder. Empty for the simulated engine.
    pub(crate) path: PathBuf,
}

/// The store that the configuration names.
pub(crate) fn store(settings: &ModelsConfig) -> anyhow::Result<Store> {
    let nowhere = || Usage("neither models.store nor XDG_DATA_HOME nor HOME says where models are kept".to_owned());
    let store = settings.store.clone().map(Store::at).or_else(Store::of_user);
    Ok(store.ok_or_else(nowhere)?)
}

/// Finds a scheduler's model, and fetches it first if it is not here.
pub(crate) fn prepare(config: &Config, scheduler: &NamedScheduler) -> anyhow::Result<Prepared> {
    let settings = &scheduler.spec;
    let named = |name: String| ModelId::new(settings.served_name.clone().unwrap_or(name));
    if settings.engine == Engine::Simulated {
        return Ok(Prepared { name: named(settings.model.clone()), path: PathBuf::new() });
    }
    let model: ModelRef = settings.model.parse()?;
    let store = store(&config.models)?;
    let path = match store.find(&model) {
        Err(ModelError::NotPulled(_)) => pull(&store, &model)?.path,
        Err(error @ ModelError::Corrupt { .. }) => {
            eprintln!("{error}: fetching it again");
            pull(&store, &model)?.path
        }
        found => found?,
    };
    Ok(Prepared { name: named(model.served_name()), path })
}

/// Fetches a model, with progress.
pub(crate) fn pull(store: &Store, model: &ModelRef) -> Result<Installed, ModelError> {
    let bar = PullBar::new();
    store.pull(model, CONVERTER, &bar)
}

/// mistral.rs runs 8-bit weights fastest on a CPU, and so does llama.cpp.
#[cfg(feature = "mistralrs")]
const CONVERTER: Option<Converter<'static>> = Some(&|source, target, progress| {
    hostler_executor_mistralrs::requantise_gguf(source, target, progress).map_err(|error| error.to_string())
});

/// Only mistral.rs's libraries can rewrite a model; what was fetched is served as it is.
#[cfg(not(feature = "mistralrs"))]
const CONVERTER: Option<Converter<'static>> = None;
