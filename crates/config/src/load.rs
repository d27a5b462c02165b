//! Merges layers into a configuration that is valid.

use std::collections::BTreeMap;

use figment::Figment;
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

use crate::layer::DEFAULTS;
use crate::{
    BenchmarkSettings, ClusterSettings, ConfigError, Layer, LogSettings, ModelSettings, NamedScheduler, Problem,
    RouterSettings, SchedulerSettings, ServerSettings, TracingSettings, WorkerSettings, check, explain,
};

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerSettings,
    /// Logs.
    pub log: LogSettings,
    /// What is recorded of requests.
    pub tracing: TracingSettings,
    /// Where models are kept.
    pub models: ModelSettings,
    /// Which scheduler serves a request.
    pub router: RouterSettings,
    /// What operators measure on the live server.
    pub benchmarks: BenchmarkSettings,
    /// A gateway's workers.
    pub cluster: ClusterSettings,
    /// A worker.
    pub worker: WorkerSettings,
    /// The schedulers to start, at least one.
    pub schedulers: Vec<NamedScheduler>,
}

/// The configuration as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sections {
    pub(crate) server: ServerSettings,
    pub(crate) log: LogSettings,
    pub(crate) tracing: TracingSettings,
    pub(crate) models: ModelSettings,
    pub(crate) router: RouterSettings,
    pub(crate) benchmarks: BenchmarkSettings,
    pub(crate) cluster: ClusterSettings,
    pub(crate) worker: WorkerSettings,
    pub(crate) scheduler: SchedulerSettings,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    schedulers: BTreeMap<String, Dict>,
}

/// Merges `layers`, later over earlier, and checks the result.
///
/// Where `models` names any, these are served, one scheduler each, in place of what
/// `[schedulers]` lists; where neither does, `[scheduler]` is the one scheduler.
///
/// # Errors
/// [`ConfigError::Invalid`].
pub fn load(layers: &[Layer], models: &[String]) -> Result<Config, ConfigError> {
    let defaults = Layer::defaults(table(&Sections::default()));
    let figment = layers.iter().fold(Figment::from(defaults), |figment, layer| figment.merge(layer));
    let sections: Sections =
        figment.extract().map_err(|error| ConfigError::Invalid(explain::problems(&figment, "", error)))?;

    let mut problems = check::values("", &table(&sections), &|key| origin(&figment, key));
    problems.extend(check::api_keys(&sections.server));
    problems.extend(sections.cluster.problems());
    problems.extend(sections.worker.problems(&sections.cluster.etcd));
    let schedulers = match (models, sections.schedulers.is_empty()) {
        ([], true) => named_by_model(vec![sections.scheduler]),
        ([], false) => own_sections(&figment, sections.schedulers.keys(), &mut problems),
        (models, _) => named_by_model(
            models
                .iter()
                .map(|model| SchedulerSettings { model: model.clone(), ..sections.scheduler.clone() })
                .collect(),
        ),
    };
    problems.extend(schedulers.iter().flat_map(check::scheduler));
    if !problems.is_empty() {
        return Err(ConfigError::Invalid(problems));
    }
    let Sections { server, log, tracing, models, router, benchmarks, cluster, worker, .. } = sections;
    Ok(Config { server, log, tracing, models, router, benchmarks, cluster, worker, schedulers })
}

/// `[schedulers.NAME]` over `[scheduler]`, for each name.
fn own_sections<'a>(
    figment: &Figment,
    names: impl Iterator<Item = &'a String>,
    problems: &mut Vec<Problem>,
) -> Vec<NamedScheduler> {
    let mut schedulers = Vec::new();
    for name in names {
        let section = format!("schedulers.{name}");
        let merged = figment.focus("scheduler").merge(figment.focus(&section));
        match merged.extract::<SchedulerSettings>() {
            Ok(settings) => schedulers.push(NamedScheduler { name: name.clone(), settings }),
            Err(error) => problems.extend(explain::problems(figment, &section, error)),
        }
    }
    schedulers
}

/// Names schedulers by their models: `smollm2`, and `smollm2-2` for the next one.
fn named_by_model(all: Vec<SchedulerSettings>) -> Vec<NamedScheduler> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    all.into_iter()
        .map(|settings| {
            let name = slug(&settings.model);
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { name } else { format!("{name}-{count}") };
            NamedScheduler { name, settings }
        })
        .collect()
}

/// The last part of a model's name or path, without its extension, in letters that
/// a scheduler's name may have.
fn slug(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
    let stem = last.strip_suffix(".gguf").unwrap_or(last).to_ascii_lowercase();
    let letters: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    let trimmed = letters.trim_matches('-');
    if trimmed.is_empty() { "model".to_owned() } else { trimmed.to_owned() }
}

/// Who set a key, but for the defaults.
fn origin(figment: &Figment, key: &str) -> Option<String> {
    figment.find_metadata(key).map(|metadata| metadata.name.to_string()).filter(|name| name != DEFAULTS)
}

/// A section as a table of values.
pub(crate) fn table(section: &impl Serialize) -> Dict {
    Value::serialize(section).ok().and_then(Value::into_dict).expect("sections are structs of plain values")
}
