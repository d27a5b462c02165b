//! Merges layers into a configuration that is valid.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use figment::Figment;
use figment::error::Kind;
use figment::value::{Dict, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::nearest;
use crate::fields::ordered;
use crate::schema::{self, shown};
use crate::stray;
use crate::{
    BenchmarksConfig, ClusterConfig, ConfigError, Layer, LogConfig, ModelsConfig, NamedScheduler, Problem,
    RouterConfig, SchedulerSpec, ServerConfig, TracingConfig, WorkerConfig,
};

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// Logs.
    pub log: LogConfig,
    /// Traces of requests.
    pub tracing: TracingConfig,
    /// Where models are stored.
    pub models: ModelsConfig,
    /// How a scheduler is chosen for a request.
    pub router: RouterConfig,
    /// Benchmarks that operators start on the running server.
    pub benchmarks: BenchmarksConfig,
    /// A gateway's workers.
    pub cluster: ClusterConfig,
    /// A worker.
    pub worker: WorkerConfig,
    /// The schedulers to start, at least one.
    pub schedulers: Vec<NamedScheduler>,
}

/// The configuration as it is written. The schema has this shape.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Hostler configuration", transform = ordered::<Self>)]
pub(crate) struct Sections {
    pub(crate) server: ServerConfig,
    pub(crate) log: LogConfig,
    pub(crate) tracing: TracingConfig,
    pub(crate) models: ModelsConfig,
    pub(crate) router: RouterConfig,
    pub(crate) benchmarks: BenchmarksConfig,
    pub(crate) cluster: ClusterConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) scheduler: SchedulerSpec,
    /// `[schedulers.NAME]`: a scheduler, with the keys of `[scheduler]` that differ for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, SchedulerSpec>")]
    schedulers: BTreeMap<String, Dict>,
}

/// The schema of [`Sections`].
pub(crate) static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(schema::of::<Sections>);

/// Merges `layers`, later over earlier, over the defaults, and checks the result.
///
/// If `models` is not empty, each of them gets a scheduler, and `[schedulers]` is ignored;
/// if both are empty, `[scheduler]` is the only scheduler.
///
/// # Errors
/// [`ConfigError::Invalid`], with every problem that can be found.
pub fn load(layers: &[Layer], models: &[String]) -> Result<Config, ConfigError> {
    let mut layers = layers.to_vec();
    let mut problems: Vec<Problem> =
        layers.iter().filter_map(Layer::stray).filter_map(|path| stray::problem(&SCHEMA, path)).collect();
    // A value that cannot be read ends the reading. So it is reported and left out, and the rest is
    // read again.
    let (figment, sections, schedulers) = loop {
        let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
        let mut unread = match read(&figment, models) {
            Ok((sections, schedulers)) => break (figment, sections, schedulers),
            Err(unread) => unread,
        };
        complete_origins(&figment, &mut unread);
        let mut is_shorter = false;
        for problem in unread {
            layers.iter_mut().for_each(|layer| is_shorter |= layer.remove(&problem.key));
            problems.push(problem);
        }
        if !is_shorter {
            return Err(ConfigError::Invalid(problems));
        }
    };

    let mut refused = Vec::new();
    schema::out_of_range(&SCHEMA, "", &table(&sections), &mut refused);
    refused.extend(sections.server.problems());
    refused.extend(sections.log.problems());
    refused.extend(sections.tracing.problems());
    refused.extend(sections.cluster.problems());
    refused.extend(sections.worker.problems(&sections.cluster.etcd));
    refused.extend(schedulers.iter().flat_map(NamedScheduler::problems));
    complete_origins(&figment, &mut refused);
    problems.extend(refused);
    if !problems.is_empty() {
        return Err(ConfigError::Invalid(problems));
    }
    let Sections { server, log, tracing, models, router, benchmarks, cluster, worker, .. } = sections;
    Ok(Config { server, log, tracing, models, router, benchmarks, cluster, worker, schedulers })
}

/// The sections, and the schedulers that they define; the problems of values that cannot be read.
fn read(figment: &Figment, models: &[String]) -> Result<(Sections, Vec<NamedScheduler>), Vec<Problem>> {
    let sections: Sections = figment.extract().map_err(|error| explain(figment, "", error))?;
    let common = &sections.scheduler;
    let schedulers = match (models, sections.schedulers.is_empty()) {
        ([], true) => named_by_model(vec![common.clone()]),
        ([], false) => own_sections(figment, sections.schedulers.keys())?,
        (models, _) => named_by_model(
            models.iter().map(|model| SchedulerSpec { model: model.clone(), ..common.clone() }).collect(),
        ),
    };
    Ok((sections, schedulers))
}

fn complete_origins(figment: &Figment, problems: &mut [Problem]) {
    for problem in problems {
        problem.origin = problem.origin.take().or_else(|| origin(figment, &problem.key));
    }
}

/// `[schedulers.NAME]` over `[scheduler]`, for each name.
fn own_sections<'a>(
    figment: &Figment,
    names: impl Iterator<Item = &'a String>,
) -> Result<Vec<NamedScheduler>, Vec<Problem>> {
    let (mut schedulers, mut problems) = (Vec::new(), Vec::new());
    for name in names {
        let section = format!("schedulers.{name}");
        let merged = figment.focus("scheduler").merge(figment.focus(&section));
        match merged.extract::<SchedulerSpec>() {
            Ok(spec) => schedulers.push(NamedScheduler { name: name.clone(), spec }),
            Err(error) => problems.extend(explain(figment, &section, error)),
        }
    }
    if problems.is_empty() { Ok(schedulers) } else { Err(problems) }
}

/// Names schedulers by their models: `smollm2`, and `smollm2-2` for the next one.
fn named_by_model(all: Vec<SchedulerSpec>) -> Vec<NamedScheduler> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    all.into_iter()
        .map(|spec| {
            let name = slug(&spec.model);
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            let name = if *count == 1 { name } else { format!("{name}-{count}") };
            NamedScheduler { name, spec }
        })
        .collect()
}

/// The last part of a model's name or path, without its extension, in characters that a
/// scheduler's name may have.
fn slug(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
    let stem = last.strip_suffix(".gguf").unwrap_or(last).to_ascii_lowercase();
    let letters: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    let trimmed = letters.trim_matches('-');
    if trimmed.is_empty() { "model".to_owned() } else { trimmed.to_owned() }
}

/// What set a key; `None` for a default.
fn origin(figment: &Figment, key: &str) -> Option<String> {
    figment.find_metadata(key).map(|metadata| metadata.name.to_string())
}

/// A section as a table of values.
fn table(section: &impl Serialize) -> Dict {
    Value::serialize(section).ok().and_then(Value::into_dict).expect("sections are structs of plain values")
}

/// The deserialiser's errors as messages that name the key, the value and what is allowed.
/// `section` is where deserialising began.
fn explain(figment: &Figment, section: &str, error: figment::Error) -> Vec<Problem> {
    error.into_iter().map(|error| problem(figment, section, &error)).collect()
}

fn problem(figment: &Figment, section: &str, error: &figment::Error) -> Problem {
    let origin = error.metadata.as_ref().map(|metadata| metadata.name.to_string());
    let mut path: Vec<&str> = section.split('.').filter(|part| !part.is_empty()).collect();
    path.extend(error.path.iter().map(String::as_str));
    if let Kind::UnknownField(field, siblings) = &error.kind {
        if path.last() != Some(&field.as_str()) {
            path.push(field);
        }
        return Problem { message: unknown_key(field, siblings), key: path.join("."), origin };
    }
    let key = path.join(".");
    let property = schema::property(&SCHEMA, &key);
    let allowed =
        property.and_then(|property| schema::allowed(property).or_else(|| Some(table_of(&schema::keys_of(property)?))));
    let message = match (schema::is_secret(&SCHEMA, &key), allowed, figment.find_value(&key)) {
        (false, Some(allowed), Ok(value)) => format!("{} is not allowed; allowed are {allowed}", shown(&value)),
        (_, Some(allowed), _) => format!("the value is not allowed; allowed are {allowed}"),
        (false, None, _) => error.kind.to_string(),
        (true, None, _) => "the value is not allowed".to_owned(),
    };
    Problem { key, origin, message }
}

fn table_of(keys: &str) -> String {
    format!("tables with the keys {keys}")
}

fn unknown_key(field: &str, siblings: &[&str]) -> String {
    if let Some(sibling) = nearest(field, siblings.iter().copied()) {
        return format!("unknown key; did you mean {sibling:?}?");
    }
    // A right key in a wrong section is the other common mistake.
    match schema::keys(&SCHEMA).iter().find(|key| key.name == field) {
        Some(key) => format!("unknown key; the key {}.{field} exists", key.section),
        None => format!("unknown key; the keys here are {}", siblings.join(", ")),
    }
}
