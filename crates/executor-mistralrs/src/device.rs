//! Where the engine runs: `cpu`, `cpu:0-3`, `cuda:0`, `metal`.

use std::fmt;
use std::str::FromStr;

use hostler_executor::LoadError;

/// A device, as the configuration spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor. Cores, where some are named, are for whoever starts the
    /// process: an engine cannot pin rayon's threads to them afterwards.
    Cpu(Option<String>),
    /// An NVIDIA graphics processor, from 0.
    Cuda(usize),
    /// An Apple graphics processor.
    Metal,
}

impl Device {
    /// Whether it is the processor.
    pub(crate) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu(_))
    }

    /// The device in candle's terms.
    ///
    /// # Errors
    /// [`LoadError::Device`]: this build has no support for it, or it is not there.
    pub(crate) fn open(&self) -> Result<candle_core::Device, LoadError> {
        let missing = |feature: &str| {
            self.error(format!("this build of Hostler has no support for it; build it with `--features {feature}`"))
        };
        match self {
            Self::Cpu(_) => Ok(candle_core::Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(missing("cuda")),
            Self::Metal if !cfg!(feature = "metal") => Err(missing("metal")),
            // The first Metal device is the only one that mistral.rs uses.
            Self::Metal => candle_core::Device::new_metal(0).map_err(|error| self.error(error.to_string())),
            Self::Cuda(index) => candle_core::Device::new_cuda(*index).map_err(|error| self.error(error.to_string())),
        }
    }

    fn error(&self, reason: String) -> LoadError {
        LoadError::Device { device: self.to_string(), reason }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(None) => f.write_str("cpu"),
            Self::Cpu(Some(cores)) => write!(f, "cpu:{cores}"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

/// `cuda` alone is `cuda:0`. Which cores there are is not checked here.
impl FromStr for Device {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| LoadError::Device { device: text.to_owned(), reason };
        match text.split_once(':').unwrap_or((text, "")) {
            ("cpu", "") if text == "cpu" => Ok(Self::Cpu(None)),
            ("cpu", cores) if is_core_list(cores) => Ok(Self::Cpu(Some(cores.to_owned()))),
            ("cuda", "") if text == "cuda" => Ok(Self::Cuda(0)),
            ("cuda", index) => {
                index.parse().map(Self::Cuda).map_err(|_| error(format!("{index:?} is not the number of a device")))
            }
            ("metal", "") if text == "metal" => Ok(Self::Metal),
            _ => Err(error("mistral.rs runs on cpu, cpu:0-3, cuda:0 or metal".to_owned())),
        }
    }
}

/// Whether `text` looks like `0-3` or `0,2-3`.
fn is_core_list(text: &str) -> bool {
    let is_number = |text: &str| text.parse::<u16>().is_ok();
    text.split(',').all(|range| match range.split_once('-') {
        Some((first, last)) => is_number(first) && is_number(last),
        None => is_number(range),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_reads_back_what_it_prints() {
        for text in ["cpu", "cpu:0-3", "cpu:0,2-3", "cuda:1", "metal"] {
            let device: Device = text.parse().expect(text);
            assert_eq!(device.to_string(), text);
        }
        let device: Device = "cuda".parse().expect("the number may be left out");
        assert_eq!(device.to_string(), "cuda:0");
    }

    #[test]
    fn what_is_no_device_is_refused_by_name() {
        for text in ["", "tpu", "cuda:", "cuda:x", "cpu:", "cpu:1-", "metal:1", "vulkan:0"] {
            let error = text.parse::<Device>().expect_err(text);
            assert!(matches!(error, LoadError::Device { device, .. } if device == text));
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_this_build_lacks_names_the_feature() {
        let error = Device::Cuda(0).open().expect_err("there is no CUDA in this build");
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}
