//! Schedulers that run in processes of their own, and how a child is started.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hostler_cluster::supervisor::ChildOptions;
use hostler_config::{
    ClusterConfig, Config, Device, Isolation, NamedScheduler, RouterConfig, ServerConfig, WorkerConfig,
};
use hostler_protocol::Engine;
use hostler_scheduler::{SchedulerConfig, SchedulerSnapshot};
use hostler_telemetry::Relay;

use crate::gpu::{CUDA_VISIBLE, automatic_device, visible};

/// Time for which a child that is told to exit waits for requests: its parent has waited
/// already.
const CHILD_DRAIN: Duration = Duration::from_secs(1);

/// Whether a scheduler gets a process of its own.
pub(crate) fn is_isolated(config: &Config, scheduler: &NamedScheduler) -> bool {
    let spec = &scheduler.spec;
    match spec.isolation {
        Isolation::Process => true,
        Isolation::Thread => false,
        Isolation::Auto => match &spec.device {
            // mistral.rs shares its threads with the whole process, so only the process can be bound.
            Device::Cores(_) if spec.engine == Engine::Mistralrs => true,
            Device::Cores(_) | Device::Cpu => config.schedulers.len() > 1,
            Device::Auto => config.schedulers.len() > 1 && *automatic_device() == Device::Cpu,
            Device::Cuda(_) | Device::Metal | Device::Vulkan(_) | Device::Rocm(_) => false,
        },
    }
}

/// A child that runs `scheduler` and listens in `folder`, as a part of the node `node`.
pub(crate) fn plan(
    config: &Config,
    scheduler: &NamedScheduler,
    known: &SchedulerConfig,
    folder: &Path,
    node: &str,
    metrics: Relay,
) -> ChildOptions {
    let endpoint = format!("unix:{}", folder.join(format!("{}.sock", scheduler.name)).display());
    let child = child_config(config, scheduler, &endpoint);
    let (device, node) = (scheduler.spec.device.clone(), node.to_owned());
    ChildOptions {
        scheduler: SchedulerSnapshot::starting(known.id.clone(), known.model.clone(), known.max_batch_size),
        command: Box::new(move || command(&device, &node)),
        configuration: serde_json::Value::String(hostler_config::effective(&child)).to_string(),
        endpoint,
        recovery: known.recovery.clone(),
        metrics: Some(metrics),
        logs: config.log.format,
    }
}

/// The configuration of a child: one scheduler, and none of the parent's API keys.
fn child_config(config: &Config, scheduler: &NamedScheduler, endpoint: &str) -> Config {
    let mut scheduler = scheduler.clone();
    scheduler.spec.isolation = Isolation::Thread;
    if let Device::Cuda(_) = scheduler.spec.device {
        // The child sees only this GPU.
        scheduler.spec.device = Device::Cuda(0);
    }
    Config {
        server: ServerConfig::default(),
        router: RouterConfig::default(),
        cluster: ClusterConfig::default(),
        worker: WorkerConfig { listen: endpoint.to_owned(), drain_timeout: CHILD_DRAIN, ..WorkerConfig::default() },
        schedulers: vec![scheduler],
        ..config.clone()
    }
}

/// This program again, with an environment for its device.
fn command(device: &Device, node: &str) -> Command {
    // The file may have been replaced since; this is the program that runs.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { own.to_owned() } else { std::env::current_exe().unwrap_or_else(|_| own.into()) };
    let mut command = Command::new(program);
    command.args(["worker", "--child", node]);
    match device {
        Device::Cores(cores) => {
            let threads = cores.cores().len().to_string();
            command.env("RAYON_NUM_THREADS", &threads).env("OMP_NUM_THREADS", threads);
        }
        Device::Cuda(index) => {
            command.env(CUDA_VISIBLE, visible(std::env::var(CUDA_VISIBLE).ok().as_deref(), *index));
        }
        _ => {}
    }
    command
}

#[cfg(test)]
mod tests {
    use hostler_config::{Layer, load};

    use super::*;
    use crate::configuration;

    fn config(text: &str) -> Config {
        load(&[Layer::text("t", text).expect("it is TOML")], &[]).expect("it is valid")
    }

    fn isolated(text: &str) -> Vec<bool> {
        let config = config(text);
        config.schedulers.iter().map(|scheduler| is_isolated(&config, scheduler)).collect()
    }

    #[test]
    fn several_schedulers_on_a_cpu_have_processes_and_a_single_one_does_not() {
        let two = "[schedulers.a]\ndevice = \"cpu\"\n[schedulers.b]\ndevice = \"cuda:0\"";
        assert_eq!(isolated(two), [true, false]);
        assert_eq!(isolated("[scheduler]\ndevice = \"cpu\""), [false]);
        assert_eq!(isolated("[scheduler]\ndevice = \"cpu:0\"\nengine = \"llamacpp\""), [false]);
        assert_eq!(isolated("[scheduler]\ndevice = \"cpu:0\"\nengine = \"mistralrs\""), [true]);
        assert_eq!(isolated("[scheduler]\nisolation = \"process\""), [true]);
        assert_eq!(isolated(&format!("[scheduler]\nisolation = \"thread\"\n{two}")), [false, false]);
    }

    #[test]
    fn a_child_loads_the_configuration_that_its_parent_sends() {
        let text = "[server.api_keys]\nme = { key = \"secret-secret\" }\n[log]\nfilter = \"debug\"\n[schedulers.a]\n\
            engine = \"simulated\"\ndevice = \"cuda:1\"\nserved_name = \"x\"\n\
            simulated = { cost = { prefill_tokens_per_second = inf, decode_step_ms = 0.5 }, prefill = \"blocking\" }\n\
            [schedulers.b]\nmodel = \"b\"";
        let config = config(text);
        let child = child_config(&config, &config.schedulers[0], "unix:/s");
        let toml = hostler_config::effective(&child);
        assert!(!toml.contains("secret"), "{toml}");
        assert_eq!(configuration::load_child(&toml).expect("it is valid"), child);
        assert_eq!(child.schedulers[0].spec.device, Device::Cuda(0));
    }

    #[test]
    fn a_child_sees_the_device_of_its_scheduler() {
        let threads = command(&"cpu:0-2".parse().expect("a device"), "here");
        let wanted = threads.get_envs().any(|(name, value)| name == "RAYON_NUM_THREADS" && value == Some("3".as_ref()));
        assert!(wanted, "{threads:?}");
    }
}
