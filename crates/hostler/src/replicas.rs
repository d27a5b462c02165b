//! Identical schedulers that share a CPU: `scheduler.replicas`.

use hostler_config::{Config, CoreSet, Device, Isolation, NamedScheduler};

use crate::failure::Usage;
use crate::gpu::automatic_device;
use crate::process::allowed_cores;

/// Replaces each scheduler by its replicas. Each replica is bound to cores of its own, which
/// requires a process of its own.
pub(crate) fn expand(config: Config) -> Result<Config, Usage> {
    let mut schedulers: Vec<NamedScheduler> = Vec::with_capacity(config.schedulers.len());
    for scheduler in &config.schedulers {
        for replica in split(scheduler, &allowed_cores())? {
            if config.schedulers.iter().any(|other| other.name == replica.name && other.name != scheduler.name) {
                let message = format!("scheduler.replicas: {:?} is the name of another scheduler", replica.name);
                return Err(Usage(message));
            }
            schedulers.push(replica);
        }
    }
    Ok(Config { schedulers, ..config })
}

/// The scheduler itself if it has one replica; else its replicas, which share its cores, or
/// the `allowed` cores if it names none.
fn split(scheduler: &NamedScheduler, allowed: &[u32]) -> Result<Vec<NamedScheduler>, Usage> {
    let spec = &scheduler.spec;
    let count = spec.replicas as usize;
    if count == 1 {
        return Ok(vec![scheduler.clone()]);
    }
    let refused = |why: String| Err(Usage(format!("scheduler.replicas: {count} of {:?} {why}", scheduler.name)));
    let cores = match &spec.device {
        Device::Cores(cores) => cores.cores(),
        Device::Auto if *automatic_device() != Device::Cpu => {
            return refused("cannot share a GPU; device \"cpu\" has cores".to_owned());
        }
        Device::Auto | Device::Cpu => allowed,
        other => return refused(format!("cannot share {other}; name a scheduler for each device instead")),
    };
    if spec.isolation == Isolation::Thread {
        return refused("need isolation \"process\", to be bound to cores of their own".to_owned());
    }
    if cores.len() < count {
        return refused(format!("cannot share {} cores", cores.len()));
    }
    let part = |index: usize| cores[cores.len() * index / count..cores.len() * (index + 1) / count].to_vec();
    let replica = |index: usize| {
        let mut replica = scheduler.clone();
        replica.spec.replicas = 1;
        replica.spec.isolation = Isolation::Process;
        replica.spec.device = CoreSet::of(part(index)).map_or(Device::Cpu, Device::Cores);
        if index > 0 {
            replica.name = format!("{}-{}", scheduler.name, index + 1);
        }
        replica
    };
    Ok((0..count).map(replica).collect())
}

#[cfg(test)]
mod tests {
    use hostler_config::SchedulerSpec;

    use super::*;

    fn scheduler(replicas: u32, device: &str) -> NamedScheduler {
        let device = device.parse().expect("it is a device");
        NamedScheduler { name: "m".to_owned(), spec: SchedulerSpec { replicas, device, ..Default::default() } }
    }

    fn places(replicas: u32, device: &str, allowed: &[u32]) -> Result<Vec<(String, String)>, String> {
        let split = split(&scheduler(replicas, device), allowed).map_err(|error| error.0)?;
        Ok(split.into_iter().map(|one| (one.name, one.spec.device.to_string())).collect())
    }

    #[test]
    fn cores_are_shared_evenly() {
        let pair = |first: &str, second: &str| {
            Ok(vec![("m".to_owned(), first.to_owned()), ("m-2".to_owned(), second.to_owned())])
        };
        assert_eq!(places(2, "auto", &[0, 1]), pair("cpu:0", "cpu:1"));
        assert_eq!(places(2, "cpu", &[2, 5, 6]), pair("cpu:2", "cpu:5-6"));
        assert_eq!(places(2, "cpu:4-7", &[0]), pair("cpu:4-5", "cpu:6-7"));
        assert_eq!(places(1, "cpu", &[]), Ok(vec![("m".to_owned(), "cpu".to_owned())]));
    }

    #[test]
    fn a_device_that_cannot_be_shared_is_refused_by_name() {
        for (replicas, device, why) in [(2, "cuda:0", "cannot share cuda:0"), (3, "cpu", "cannot share 2 cores")] {
            let refused = places(replicas, device, &[0, 1]).expect_err("it cannot be shared");
            assert!(refused.contains("scheduler.replicas") && refused.contains(why), "{refused}");
        }
    }
}
