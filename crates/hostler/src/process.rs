//! What a process asks of the kernel for itself: the cores that it runs on, and to be killed
//! when its parent exits.

use hostler_config::CoreSet;
#[cfg(target_os = "linux")]
use rustix::process::{Signal, set_parent_process_death_signal};
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds this process to `cores`. Must be called before the process has other threads: they
/// inherit the cores of the thread that starts them.
///
/// # Errors
/// The system's error, such as for a core that does not exist.
#[cfg(target_os = "linux")]
pub(crate) fn bind(cores: &CoreSet) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores.cores() {
        let core = core as usize;
        if core >= CpuSet::MAX_CPU {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        set.set(core);
    }
    // `None` is the calling thread.
    Ok(sched_setaffinity(None, &set)?)
}

/// Whether this process may run on these cores and on no others.
#[cfg(target_os = "linux")]
#[cfg_attr(
    not(any(feature = "mistralrs", test)),
    expect(dead_code, reason = "only engines that cannot bind themselves ask")
)]
pub(crate) fn is_bound_to(cores: &CoreSet) -> bool {
    allowed_cores() == cores.cores()
}

/// The cores that this process may run on, ascending; none if the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn allowed_cores() -> Vec<u32> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).filter_map(|core| u32::try_from(core).ok()).collect()
}

/// Tells the kernel to kill this process when the thread that started it ends.
#[cfg(target_os = "linux")]
pub(crate) fn die_with_parent() {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::warn!(%error, "the kernel will not kill this process with its parent");
    }
}

/// Only Linux lets a process choose its cores this way.
#[cfg(not(target_os = "linux"))]
pub(crate) fn bind(_: &CoreSet) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Without Linux no process can be bound.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed_cores() -> Vec<u32> {
    Vec::new()
}

/// Without Linux no process is bound.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_bound_to(_: &CoreSet) -> bool {
    false
}

/// Without Linux only the parent's closed pipe tells that it is gone.
#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use hostler_config::Device;

    use super::*;

    fn cores(text: &str) -> CoreSet {
        match text.parse() {
            Ok(Device::Cores(cores)) => cores,
            other => panic!("{text} is not a set of cores: {other:?}"),
        }
    }

    #[test]
    fn a_thread_is_bound_to_the_given_cores() {
        let bound = std::thread::spawn(|| {
            bind(&cores("cpu:0")).expect("core 0 exists");
            assert!(is_bound_to(&cores("cpu:0")) && !is_bound_to(&cores("cpu:0-1")));
            assert!(bind(&cores("cpu:1023")).is_err() && bind(&cores("cpu:8000")).is_err());
        });
        bound.join().expect("the thread does not panic");
    }
}
