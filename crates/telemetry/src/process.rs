//! CPU, memory, file descriptors and threads of this process, under the names that
//! Prometheus clients use.

use std::fmt::Write;
use std::path::Path;

use crate::catalogue;
use crate::metric::{Kind, Metric, NODE};

/// Clock ticks per second in `/proc` (`USER_HZ`): 100 on every Linux, regardless of the
/// kernel's own rate.
const TICKS_PER_SECOND: f64 = 100.0;

/// The resource usage of this process.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ProcessUsage {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_fds: f64,
    fds_max: f64,
    threads: f64,
    started_unix_seconds: f64,
}

/// Reads `/proc`; `None` on systems without it.
pub(crate) fn read() -> Option<ProcessUsage> {
    let process = Path::new("/proc/self");
    let text = |name: &str| std::fs::read_to_string(process.join(name)).ok();
    let boot = std::fs::read_to_string("/proc/stat").ok()?;
    let open_fds = std::fs::read_dir(process.join("fd")).ok()?.count();
    parse(&text("stat")?, &text("status")?, &text("limits")?, &boot, open_fds)
}

fn parse(stat: &str, status: &str, limits: &str, boot: &str, open_fds: usize) -> Option<ProcessUsage> {
    // The name may contain any character, so parsing starts after it, at the third field.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok().map(|ticks| ticks / TICKS_PER_SECOND);
    let after = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(ProcessUsage {
        cpu_seconds: ticks(14)? + ticks(15)?,
        resident_bytes: after(status, "VmRSS:")? * 1024.0,
        open_fds: open_fds as f64,
        // The limit may be `unlimited`.
        fds_max: after(limits, "Max open files").unwrap_or(f64::INFINITY),
        threads: after(status, "Threads:")?,
        started_unix_seconds: after(boot, "btime")? + ticks(22)?,
    })
}

impl ProcessUsage {
    /// Appends the metrics to a page in the Prometheus text format.
    pub(crate) fn write(&self, page: &mut String, node: &str) {
        let rows: [(&Metric, f64); 6] = [
            (&catalogue::PROCESS_CPU, self.cpu_seconds),
            (&catalogue::PROCESS_RESIDENT, self.resident_bytes),
            (&catalogue::PROCESS_FDS, self.open_fds),
            (&catalogue::PROCESS_FDS_MAX, self.fds_max),
            (&catalogue::PROCESS_THREADS, self.threads),
            (&catalogue::PROCESS_START, self.started_unix_seconds),
        ];
        for (Metric { name, kind, help, .. }, value) in rows {
            let kind = if matches!(kind, Kind::Counter) { "counter" } else { "gauge" };
            let value = if value.is_infinite() { "+Inf".to_owned() } else { value.to_string() };
            // Writing into memory cannot fail.
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{{NODE}={node:?}}} {value}\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 7 0 1000 9 9";
    const STATUS: &str = "Name:\thostler\nVmRSS:\t    2048 kB\nThreads:\t7\n";
    const LIMITS: &str =
        "Limit  Soft Limit\nMax open files            1024                 4096                 files\n";
    const BOOT: &str = "cpu 1 2 3\nbtime 1700000000\n";

    #[test]
    fn fields_are_counted_after_the_name() {
        let usage = parse(STAT, STATUS, LIMITS, BOOT, 12).expect("it is whole");
        let expected = ProcessUsage {
            cpu_seconds: 2.0,
            resident_bytes: 2_097_152.0,
            open_fds: 12.0,
            fds_max: 1024.0,
            threads: 7.0,
            started_unix_seconds: 1_700_000_010.0,
        };
        assert_eq!(usage, expected);
        let unlimited = LIMITS.replace("1024", "unlimited");
        assert_eq!(parse(STAT, STATUS, &unlimited, BOOT, 12).map(|usage| usage.fds_max), Some(f64::INFINITY));
        assert_eq!(parse("42 (a", STATUS, LIMITS, BOOT, 12), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_read() {
        let mut page = String::new();
        let usage = read().expect("this is Linux");
        assert!(usage.resident_bytes > 0.0 && usage.threads >= 1.0 && usage.open_fds >= 3.0, "{usage:?}");
        usage.write(&mut page, "n\"1");
        assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"), "{page}");
        assert!(page.contains("process_threads{node=\"n\\\"1\"} "), "{page}");
    }
}
