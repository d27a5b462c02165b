//! The device that runs an engine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device, as `device = "…"` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The first GPU of the kind that the binary is built for; else the CPU.
    #[default]
    Auto,
    /// All CPU cores.
    Cpu,
    /// Only these CPU cores.
    Cores(CoreSet),
    /// An NVIDIA GPU, counted from 0.
    Cuda(u32),
    /// The GPU of an Apple computer.
    Metal,
    /// A GPU through Vulkan, counted from 0.
    Vulkan(u32),
    /// An AMD GPU, counted from 0.
    Rocm(u32),
}

/// A set of CPU cores: `0-3`, `0,2`, `0-1,4-5`. Sorted, without duplicates, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSet(Vec<u32>);

impl CoreSet {
    /// The set of these cores; `None` if there are none.
    #[must_use]
    pub fn of(mut cores: Vec<u32>) -> Option<Self> {
        cores.sort_unstable();
        cores.dedup();
        (!cores.is_empty()).then_some(Self(cores))
    }

    /// The cores' numbers, ascending.
    #[must_use]
    pub fn cores(&self) -> &[u32] {
        &self.0
    }
}

/// A text that is not a device.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a device; allowed are auto, cpu, cpu:CORES (such as cpu:0-3), cuda:N, metal, vulkan:N, rocm:N")]
pub struct DeviceError(String);

/// Highest core number of the widest builds of Linux. It also bounds the expansion of a
/// range such as `0-4000000000`.
const CORE_MAX: u32 = 8191;

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || DeviceError(text.to_owned());
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, Some(index)),
            None => (text, None),
        };
        let number = || index.unwrap_or("0").parse::<u32>().map_err(|_| refused());
        match (kind, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cpu", Some(cores)) => parse_cores(cores).map(Self::Cores).ok_or_else(refused),
            ("metal", None) => Ok(Self::Metal),
            ("cuda", _) => number().map(Self::Cuda),
            ("vulkan", _) => number().map(Self::Vulkan),
            ("rocm", _) => number().map(Self::Rocm),
            _ => Err(refused()),
        }
    }
}

fn parse_cores(text: &str) -> Option<CoreSet> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if first > last || last > CORE_MAX {
            return None;
        }
        cores.extend(first..=last);
    }
    CoreSet::of(cores)
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cores(cores) => write!(f, "cpu:{cores}"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
            Self::Vulkan(index) => write!(f, "vulkan:{index}"),
            Self::Rocm(index) => write!(f, "rocm:{index}"),
        }
    }
}

/// Consecutive cores are written as ranges.
impl fmt::Display for CoreSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                [only] => write!(f, "{separator}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Device {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_device_parses_to_the_same_device() {
        for text in ["auto", "cpu", "cpu:0-3", "cpu:1", "cpu:0-1,4-5", "cuda:1", "metal", "vulkan:0", "rocm:2"] {
            assert_eq!(text.parse::<Device>().map(|device| device.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
    }

    #[test]
    fn cores_are_sorted_and_unique() {
        let Ok(Device::Cores(cores)) = "cpu:3,0-1,1".parse() else { panic!("cores were refused") };
        assert_eq!(cores.cores(), [0, 1, 3]);
        assert_eq!(cores.to_string(), "0-1,3");
    }

    #[test]
    fn an_invalid_device_is_refused_with_what_is_allowed() {
        for text in ["", "gpu", "cpu:", "cpu:3-1", "cpu:a", "cpu:0-4000000000", "cuda:-1", "metal:0", "auto:1", "CPU"] {
            let error = text.parse::<Device>().expect_err("it is not a device");
            assert!(error.to_string().contains("cuda:N"), "{error}");
        }
    }
}
