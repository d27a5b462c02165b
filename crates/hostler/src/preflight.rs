//! What can be known to be wrong with the configured schedulers before anything is loaded.

use hostler_config::{Config, CoreSet, Device, NamedScheduler};
use hostler_models::ModelRef;
use hostler_protocol::Engine;

use crate::failure::Usage;
use crate::{engines, models, process, replicas};

/// Checks every scheduler.
///
/// # Errors
/// All problems, one a line.
pub(crate) fn check(config: &Config) -> Result<(), Usage> {
    let cores = process::allowed_cores();
    let problems = config.schedulers.iter().flat_map(|one| problems(config, one, &cores));
    refuse(&problems.collect::<Vec<_>>())
}

/// Checks every scheduler, and whether its replicas can share its device.
///
/// # Errors
/// All problems, one a line.
pub(crate) fn check_with_replicas(config: &Config) -> Result<(), Usage> {
    let found = [check(config).err(), replicas::expand(config.clone()).err()];
    refuse(&found.into_iter().flatten().map(|Usage(message)| message).collect::<Vec<_>>())
}

fn refuse(problems: &[String]) -> Result<(), Usage> {
    if problems.is_empty() { Ok(()) } else { Err(Usage(problems.join("\n"))) }
}

/// The problems of one scheduler of a process that may run on the cores `allowed`.
fn problems(config: &Config, scheduler: &NamedScheduler, allowed: &[u32]) -> Vec<String> {
    let keyed = |key: &str, message: String| format!("schedulers.{}.{key}: {message}", scheduler.name);
    let engine = engines::check(scheduler.spec.engine).err().map(|error| keyed("engine", error.to_string()));
    let device = device(scheduler, allowed).map(|message| keyed("device", message));
    let rest = if scheduler.spec.engine == Engine::Simulated {
        let factory = models::prepare(config, scheduler).and_then(|model| engines::factory(scheduler, &model));
        factory.err().map(|error| error.to_string())
    } else {
        model(scheduler).map(|message| keyed("model", message))
    };
    [engine, device, rest].into_iter().flatten().collect()
}

/// Why the scheduler cannot run on its device here.
fn device(scheduler: &NamedScheduler, allowed: &[u32]) -> Option<String> {
    let device = &scheduler.spec.device;
    let (has, feature) = match device {
        Device::Auto | Device::Cpu => return None,
        Device::Cores(cores) => {
            let missing: Vec<_> = cores.cores().iter().copied().filter(|core| !allowed.contains(core)).collect();
            // The system does not tell on every platform.
            let (missing, allowed) = (CoreSet::of(missing)?, CoreSet::of(allowed.to_vec())?);
            return Some(format!("{device} names cores that this process cannot use: {missing}; it can use {allowed}"));
        }
        Device::Cuda(_) => (cfg!(feature = "cuda"), "cuda"),
        Device::Metal => (cfg!(feature = "metal"), "metal"),
        Device::Vulkan(_) => (cfg!(feature = "vulkan"), "vulkan"),
        Device::Rocm(_) => (cfg!(feature = "rocm"), "rocm"),
    };
    // The simulated engine runs nowhere.
    (!has && scheduler.spec.engine != Engine::Simulated)
        .then(|| format!("this binary cannot use {device}; build with `cargo build --features {feature}`"))
}

/// Why the scheduler's model cannot be loaded. A model that is not in the store will be downloaded.
fn model(scheduler: &NamedScheduler) -> Option<String> {
    match scheduler.spec.model.parse() {
        Err(error) => Some(hostler_models::ModelError::to_string(&error)),
        Ok(ModelRef::Path(path)) => match std::fs::metadata(&path) {
            Err(error) => Some(format!("{}: {error}", path.display())),
            Ok(found) if found.is_dir() && scheduler.spec.engine == Engine::Llamacpp => {
                Some(format!("llamacpp loads GGUF files, and {} is a directory", path.display()))
            }
            Ok(_) => None,
        },
        Ok(ModelRef::Catalogue(_) | ModelRef::Hub { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use hostler_config::{Layer, load};

    use super::*;

    fn found(text: &str) -> Vec<String> {
        let config = load(&[Layer::text("t", text).expect("it is TOML")], &[]).expect("it can be read");
        let problems = config.schedulers.iter().flat_map(|one| problems(&config, one, &[0, 1]));
        problems.filter(|problem| !problem.contains(".engine: ")).collect()
    }

    #[test]
    fn cores_that_do_not_exist_are_named_with_those_that_do() {
        for (device, wrong) in [("cpu:0-31", "2-31"), ("cpu:5", "5"), ("cpu:1-2", "2")] {
            let text = format!("[schedulers.a]\nengine = \"simulated\"\nmodel = \"m\"\ndevice = {device:?}");
            let expected = format!(
                "schedulers.a.device: {device} names cores that this process cannot use: {wrong}; it can use 0-1"
            );
            assert_eq!(found(&text), [expected]);
        }
        assert!(found("[scheduler]\nengine = \"simulated\"\ndevice = \"cpu:0-1\"").is_empty());
    }

    #[test]
    fn models_and_settings_are_checked_without_loading() {
        for (scheduler, key, message) in [
            ("engine = \"simulated\"\nsimulated = { eos_afer = 3 }", "simulated", "eos_afer"),
            ("engine = \"simulated\"\nsimulated = { cost = { decode_step_ms = -1 } }", "simulated", "decode_step_ms"),
            ("engine = \"llamacpp\"\nmodel = \"/no/such.gguf\"", "model", "/no/such.gguf"),
            ("engine = \"llamacpp\"\nmodel = \"/proc\"", "model", "is a directory"),
            ("engine = \"mistralrs\"\nmodel = \"gpt-5\"", "model", "the catalogue has"),
        ] {
            let problems = found(&format!("[schedulers.a]\n{scheduler}"));
            assert_eq!(problems.len(), 1, "{scheduler}: {problems:?}");
            assert!(problems[0].starts_with(&format!("schedulers.a.{key}: ")), "{problems:?}");
            assert!(problems[0].contains(message), "{problems:?}");
        }
        assert!(found("[scheduler]\nengine = \"llamacpp\"\nmodel = \"owner/name\"").is_empty());
    }
}
