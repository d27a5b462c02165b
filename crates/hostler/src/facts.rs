//! Facts about the server in the result of a benchmark, which are needed to repeat it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use hostler_benchmark::Facts;
use hostler_config::{Config, NamedScheduler};
use hostler_loadgen::target::EnergyMeter;
use hostler_protocol::SchedulerId;
use serde_json::{Value, json};

use crate::gpu::GpuEnergy;

/// The facts about every scheduler of this process.
pub(crate) struct ServerFacts {
    schedulers: HashMap<SchedulerId, (PathBuf, Value)>,
    meters: HashMap<SchedulerId, Arc<dyn EnergyMeter>>,
    checksums: Arc<Checksums>,
}

impl ServerFacts {
    /// Facts from the configuration. `models` are the files or directories that the schedulers
    /// load, in the order of the configuration; empty for the simulated engine.
    pub(crate) fn new(config: &Config, models: impl IntoIterator<Item = PathBuf>) -> Self {
        let facts = |(scheduler, path): (&NamedScheduler, PathBuf)| {
            let known = json!({
                "scheduler": scheduler.spec,
                "router": config.router,
                "http_threads": config.server.http_threads,
                "processors": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            });
            (scheduler.name.as_str().into(), (path, known))
        };
        let meter = |scheduler: &NamedScheduler| {
            let meter: Arc<dyn EnergyMeter> = Arc::new(GpuEnergy::of_device(&scheduler.spec.device)?);
            Some((scheduler.name.as_str().into(), meter))
        };
        Self {
            schedulers: config.schedulers.iter().zip(models).map(facts).collect(),
            meters: config.schedulers.iter().filter_map(meter).collect(),
            checksums: Arc::default(),
        }
    }
}

#[async_trait]
impl Facts for ServerFacts {
    async fn of(&self, scheduler: &SchedulerId) -> Value {
        let Some((path, known)) = self.schedulers.get(scheduler) else { return Value::Null };
        let (path, checksums) = (path.clone(), Arc::clone(&self.checksums));
        let file = path.clone();
        // Reading gigabytes would block the async runtime.
        let sha256 = tokio::task::spawn_blocking(move || checksums.of(&file)).await.ok().flatten();
        let mut facts = known.clone();
        facts["model_file"] = json!(path.file_name().map(|name| name.to_string_lossy()));
        facts["model_sha256"] = json!(sha256);
        facts
    }

    fn energy(&self, scheduler: &SchedulerId) -> Option<Arc<dyn EnergyMeter>> {
        self.meters.get(scheduler).cloned()
    }
}

/// Checksums of files, computed again only when a file has changed.
#[derive(Default)]
struct Checksums(Mutex<HashMap<PathBuf, (FileState, String)>>);

/// Modification time and length in bytes.
type FileState = (Option<SystemTime>, u64);

impl Checksums {
    /// The checksum of a file; `None` if it is not a file or cannot be read.
    fn of(&self, path: &Path) -> Option<String> {
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let state: FileState = (metadata.modified().ok(), metadata.len());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, sum)) = known.get(path)
            && *then == state
        {
            return Some(sum.clone());
        }
        match hostler_models::sha256(path) {
            Ok(sum) => {
                known.insert(path.to_owned(), (state, sum.clone()));
                Some(sum)
            }
            Err(error) => {
                tracing::warn!(%error, "cannot compute the checksum of a model");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_computed_again_when_the_file_changes() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("model.gguf");
        let checksums = Checksums::default();
        assert_eq!(checksums.of(&path), None);
        assert_eq!(checksums.of(folder.path()), None, "a directory has no checksum");
        std::fs::write(&path, "abc").expect("it is writable");
        let first = checksums.of(&path).expect("it is a file");
        assert_eq!(first.len(), 64, "{first}");
        assert_eq!(checksums.of(&path), Some(first.clone()));
        std::fs::write(&path, "abcd").expect("it is writable");
        assert_ne!(checksums.of(&path), Some(first));
    }
}
