//! The devices of the engine: `cpu`, `cpu:0-3`, `cuda:0`, `metal`.

use std::fmt;
use std::str::FromStr;

use hostler_executor::LoadError;

/// A device. Its text form is that of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU. The parent process must bind this process to the cores, because an engine
    /// cannot bind rayon's threads after they have started.
    Cpu(Option<String>),
    /// The NVIDIA GPU with this index, from 0.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

impl Device {
    /// Whether it is the CPU.
    pub(crate) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu(_))
    }

    /// Opens the device with candle.
    ///
    /// # Errors
    /// [`LoadError::Device`] if this build does not support it, or it does not exist.
    pub(crate) fn open(&self) -> Result<candle_core::Device, LoadError> {
        let missing = |feature: &str| {
            self.error(format!("this build does not support it; build Hostler with `--features {feature}`"))
        };
        match self {
            Self::Cpu(_) => Ok(candle_core::Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(missing("cuda")),
            Self::Metal if !cfg!(feature = "metal") => Err(missing("metal")),
            // mistral.rs uses the first Metal device only.
            Self::Metal => candle_core::Device::new_metal(0).map_err(|error| self.error(error.to_string())),
            Self::Cuda(index) => open_cuda(*index).map_err(|reason| self.error(reason)),
        }
    }

    fn error(&self, reason: String) -> LoadError {
        LoadError::Device { device: self.to_string(), reason }
    }
}

#[cfg(feature = "cuda")]
fn open_cuda(index: usize) -> Result<candle_core::Device, String> {
    use candle_core::cuda_backend::cudarc::driver::result;
    use candle_core::cuda_backend::cudarc::driver::sys::CUresult;

    // candle's errors for a missing driver or device are codes with a backtrace.
    match result::init() {
        Ok(()) => {}
        Err(error) if error.0 == CUresult::CUDA_ERROR_STUB_LIBRARY => {
            return Err("this machine has no NVIDIA driver (libcuda.so.1 cannot be loaded)".to_owned());
        }
        Err(error) if error.0 == CUresult::CUDA_ERROR_NO_DEVICE => return Err(no_such_gpu(0)),
        Err(error) => return Err(format!("the NVIDIA driver does not start: {error}")),
    }
    let count = result::device::get_count().map_err(|error| error.to_string())?;
    let count = usize::try_from(count).unwrap_or(0);
    if index >= count {
        return Err(no_such_gpu(count));
    }
    candle_core::Device::new_cuda(index).map_err(|error| first_line(&error.to_string()))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_: usize) -> Result<candle_core::Device, String> {
    Err("this build has no CUDA".to_owned())
}

/// What is wrong with an index if the machine has `count` GPUs.
#[cfg(any(feature = "cuda", test))]
fn no_such_gpu(count: usize) -> String {
    match count {
        0 => "the NVIDIA driver finds no GPU on this machine, or CUDA_VISIBLE_DEVICES hides it".to_owned(),
        1 => "this machine has one NVIDIA GPU, cuda:0".to_owned(),
        _ => format!("this machine has {count} NVIDIA GPUs, cuda:0 to cuda:{}", count - 1),
    }
}

/// A message of candle without the backtrace that follows it.
pub(crate) fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
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

/// `cuda` means `cuda:0`. Whether the cores exist is not checked.
impl FromStr for Device {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| LoadError::Device { device: text.to_owned(), reason };
        match text.split_once(':').unwrap_or((text, "")) {
            ("cpu", "") if text == "cpu" => Ok(Self::Cpu(None)),
            ("cpu", cores) if is_core_list(cores) => Ok(Self::Cpu(Some(cores.to_owned()))),
            ("cuda", "") if text == "cuda" => Ok(Self::Cuda(0)),
            ("cuda", index) => {
                index.parse().map(Self::Cuda).map_err(|_| error(format!("{index:?} is not a device index")))
            }
            ("metal", "") if text == "metal" => Ok(Self::Metal),
            _ => Err(error("mistral.rs supports cpu, cpu:0-3, cuda:0 and metal".to_owned())),
        }
    }
}

/// Whether `text` has the form `0-3` or `0,2-3`.
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
    fn devices_are_parsed_from_their_text_form() {
        for text in ["cpu", "cpu:0-3", "cpu:0,2-3", "cuda:1", "metal"] {
            let device: Device = text.parse().expect(text);
            assert_eq!(device.to_string(), text);
        }
        let device: Device = "cuda".parse().expect("the index may be omitted");
        assert_eq!(device.to_string(), "cuda:0");
    }

    #[test]
    fn an_invalid_device_is_rejected_with_its_name() {
        for text in ["", "tpu", "cuda:", "cuda:x", "cpu:", "cpu:1-", "metal:1", "vulkan:0"] {
            let error = text.parse::<Device>().expect_err(text);
            assert!(matches!(error, LoadError::Device { device, .. } if device == text));
        }
    }

    #[test]
    fn a_missing_gpu_is_reported_with_those_that_exist() {
        assert!(no_such_gpu(0).contains("no GPU"));
        assert_eq!(no_such_gpu(1), "this machine has one NVIDIA GPU, cuda:0");
        assert_eq!(no_such_gpu(4), "this machine has 4 NVIDIA GPUs, cuda:0 to cuda:3");
        assert_eq!(first_line("DriverError(999)\n   0: candle_core"), "DriverError(999)");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn an_unsupported_device_names_the_cargo_feature() {
        let error = Device::Cuda(0).open().expect_err("this build has no CUDA");
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}
