//! What this process is: its build, and its name in the cluster.

use hostler_telemetry::catalogue;

/// Which commit it was built from, where the build says so: images do, by the
/// variable `HOSTLER_COMMIT`.
const COMMIT: &str = match option_env!("HOSTLER_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Says it in the metrics. Call it after the exporter is installed.
pub(crate) fn declare_build() {
    catalogue::BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION"), COMMIT]).set(1.0);
}

/// The machine's name: what a process is called that nobody has named.
pub(crate) fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
