//! The machine that a generator ran on.

use serde::{Deserialize, Serialize};

/// The machine that a generator ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// The processor's name, where the system tells.
    pub processor: Option<String>,
    /// How many threads run at once.
    pub cpus: usize,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map(|(_, name)| name.trim().to_owned());
        Self {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            processor,
            cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}
