//! A set of CPU cores, and the binding of a thread to it.

use std::fmt;
use std::str::FromStr;

/// Highest core number: the capacity of the kernel's `cpu_set_t`.
const CORE_MAX: usize = 1023;

/// A non-empty set of core numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSet {
    /// Sorted, without duplicates.
    cores: Vec<usize>,
}

impl CoreSet {
    /// Number of cores.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cores.len()
    }

    /// Binds the calling thread, and all threads that it starts later, to these cores.
    ///
    /// # Errors
    /// The system's error, for example if a core does not exist; `Unsupported` on
    /// systems other than Linux.
    #[cfg(target_os = "linux")]
    pub(crate) fn bind_this_thread(&self) -> std::io::Result<()> {
        let mut set = rustix::thread::CpuSet::new();
        for &core in &self.cores {
            set.set(core);
        }
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }

    /// Fails: only Linux supports this.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn bind_this_thread(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The default number of compute threads: one for each core that this process may use, but
/// not more than there are physical cores, because two threads on one physical core slow
/// each other down.
pub(crate) fn default_thread_count() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usable.min(num_cpus::get_physical()).max(1)
}

/// The form of the configuration, in which consecutive cores are a range.
impl fmt::Display for CoreSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.cores.chunk_by(|left, right| left + 1 == *right);
        for (index, run) in runs.enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match run {
                [first, .., last] => write!(f, "{first}-{last}")?,
                [core] => write!(f, "{core}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// Numbers and ranges, separated by commas: `0`, `0-3`, `0,2-3`.
impl FromStr for CoreSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| match text.parse::<usize>() {
            Ok(core) if core <= CORE_MAX => Ok(core),
            _ => Err(format!("{text:?} is not a core number (0 to {CORE_MAX})")),
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("the range of cores {part} is descending"));
            }
            cores.extend(first..=last);
        }
        cores.sort_unstable();
        cores.dedup();
        Ok(Self { cores })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_bound_thread_runs_on_its_cores_only() {
        std::thread::spawn(|| {
            let cores: CoreSet = "0".parse().expect("a core");
            cores.bind_this_thread().expect("core 0 exists");
            assert_eq!(std::thread::available_parallelism().expect("known").get(), 1);
            let missing: CoreSet = "1023".parse().expect("a core");
            assert!(missing.bind_this_thread().is_err());
        })
        .join()
        .expect("the thread does not panic");
    }
}
