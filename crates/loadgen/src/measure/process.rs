//! CPU time and memory of a process, from `/proc`.

use std::path::Path;

/// Clock ticks per second in `/proc/<pid>/stat`. The kernel reports in the user-space
/// unit `USER_HZ`, which is 100 on every architecture that Rust supports, whatever the
/// frequency of the kernel's own timer.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resource usage of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUsage {
    /// CPU time of all its threads since it started, in seconds (resolution 0.01).
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

impl ProcessUsage {
    /// Usage of the process `pid`; `None` if it does not exist or there is no `/proc`.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::read(&Path::new("/proc").join(pid.to_string()))
    }

    /// Usage of this process.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::read(Path::new("/proc/self"))
    }

    /// Total usage of `pids`; `None` if one of them does not exist.
    #[must_use]
    pub fn of_all(pids: &[u32]) -> Option<Self> {
        pids.iter().try_fold(Self::default(), |sum, &pid| {
            let one = Self::of(pid)?;
            Some(Self {
                cpu_seconds: sum.cpu_seconds + one.cpu_seconds,
                resident_bytes: sum.resident_bytes + one.resident_bytes,
            })
        })
    }

    fn read(folder: &Path) -> Option<Self> {
        let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        Some(Self { cpu_seconds: cpu_seconds(&stat)?, resident_bytes: resident_bytes(&status)? })
    }
}

/// `utime` and `stime`, fields 14 and 15 of `stat`. The name in field 2 may contain spaces
/// and parentheses, so fields are counted from the last parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

/// The line `VmRSS:   1234 kB` of `status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_after_a_name_with_parentheses() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 900 0 0 0 250 50 7 8 20 0 4 0 100 1000 200";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(cpu_seconds("nonsense"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_usage() {
        let usage = ProcessUsage::current().expect("there is a /proc");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert_eq!(ProcessUsage::of_all(&[std::process::id(), u32::MAX]), None);
    }
}
