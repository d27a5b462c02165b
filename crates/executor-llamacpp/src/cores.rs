//! A set of processor cores, and how a thread is bound to it.

use std::fmt;
use std::str::FromStr;

/// Highest core number that is believed: what the kernel's own type holds.
const CORE_MAX: usize = 1023;

/// Cores by their numbers, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSet {
    /// Ascending, each once.
    cores: Vec<usize>,
}

impl CoreSet {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cores.len()
    }

    /// Binds the calling thread, and every thread that it starts from now on, to
    /// these cores.
    ///
    /// # Errors
    /// What the system says, for a core that does not exist, say; or that the
    /// system has no such call.
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    pub(crate) fn bind_this_thread(&self) -> std::io::Result<()> {
        // SAFETY: an all-zero `cpu_set_t` is the empty set; it is a plain array of bits.
        let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        for &core in &self.cores {
            // SAFETY: `core` is at most `CORE_MAX`, the last bit of the set.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
        // SAFETY: the set outlives the call, and its size is given; 0 is this thread.
        match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Binds nothing: only Linux lets a thread choose its cores in this way.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn bind_this_thread(&self) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// How many threads compute when nobody says: one per core that this process may
/// use, and no more than there are physical ones, because two on the two halves of
/// one core get in each other's way.
pub(crate) fn default_thread_count() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usable.min(num_cpus::get_physical()).max(1)
}

/// As in the configuration: runs of neighbours are joined.
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
            _ => Err(format!("{text:?} is not the number of a core (0 to {CORE_MAX})")),
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("the cores {part} run backwards"));
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
    fn a_bound_thread_runs_where_it_is_told() {
        std::thread::spawn(|| {
            let cores: CoreSet = "0".parse().expect("a core");
            cores.bind_this_thread().expect("core 0 exists");
            assert_eq!(std::thread::available_parallelism().expect("known").get(), 1);
            let nowhere: CoreSet = "1023".parse().expect("a core");
            assert!(nowhere.bind_this_thread().is_err());
        })
        .join()
        .expect("the thread ends well");
    }
}
