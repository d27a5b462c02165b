//! What a process asks of the kernel for itself: the cores that it runs on, and to end
//! with its parent. The only place of this crate where a C function is called.

use hostler_config::CoreSet;

/// Highest core number that the kernel's fixed-size set holds.
#[cfg(target_os = "linux")]
const CORE_MAX: u32 = 1023;

/// Binds this process to these cores. Call it before the process has other threads: they
/// inherit what the one has that starts them.
///
/// # Errors
/// What the system says, of a core that does not exist, say.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn bind(cores: &CoreSet) -> std::io::Result<()> {
    // SAFETY: an all-zero `cpu_set_t` is the empty set; it is a plain array of bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &core in cores.cores() {
        if core > CORE_MAX {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: `core` is at most `CORE_MAX`, the last bit of the set.
        unsafe { libc::CPU_SET(core as usize, &mut set) };
    }
    // SAFETY: the set outlives the call, and its size is given; 0 is this thread.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
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

/// The cores that this process may run on, ascending; none if the system does not say.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn allowed_cores() -> Vec<u32> {
    // SAFETY: an all-zero `cpu_set_t` is the empty set; it is a plain array of bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set outlives the call, and its size is given; 0 is this thread.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) } != 0 {
        return Vec::new();
    }
    // SAFETY: `core` is at most `CORE_MAX`, the last bit of the set.
    (0..=CORE_MAX).filter(|&core| unsafe { libc::CPU_ISSET(core as usize, &set) }).collect()
}

/// Has the kernel kill this process when the thread that started it ends.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub(crate) fn die_with_parent() {
    // SAFETY: the call takes a signal's number, and touches no memory of ours.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        tracing::warn!(error = %std::io::Error::last_os_error(), "the kernel does not tie this process to its parent");
    }
}

/// Only Linux lets a process choose its cores in this way.
#[cfg(not(target_os = "linux"))]
pub(crate) fn bind(_: &CoreSet) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Elsewhere nobody asks: no process can be bound.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed_cores() -> Vec<u32> {
    Vec::new()
}

/// Elsewhere no process is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_bound_to(_: &CoreSet) -> bool {
    false
}

/// Elsewhere the end of the parent's pipe is all that tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_parent() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use hostler_config::Device;

    use super::*;

    fn cores(text: &str) -> CoreSet {
        match text.parse() {
            Ok(Device::Cores(cores)) => cores,
            other => panic!("{text} names no cores: {other:?}"),
        }
    }

    #[test]
    fn a_thread_is_bound_where_it_is_told_and_knows_it() {
        let bound = std::thread::spawn(|| {
            bind(&cores("cpu:0")).expect("core 0 exists");
            assert!(is_bound_to(&cores("cpu:0")) && !is_bound_to(&cores("cpu:0-1")));
            assert!(bind(&cores("cpu:1023")).is_err() && bind(&cores("cpu:8000")).is_err());
        });
        bound.join().expect("the thread ends well");
    }
}
