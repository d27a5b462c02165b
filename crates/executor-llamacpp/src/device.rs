//! The devices of the engine: `cpu`, `cpu:0-3`, `cuda:0`, `metal`, `vulkan:1`, `rocm:0`.

use std::fmt;
use std::str::FromStr;

use hostler_executor::LoadError;

use crate::cores::CoreSet;

/// A device. Its text form is that of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU: all cores, or only these.
    Cpu(Option<CoreSet>),
    /// One GPU.
    Gpu {
        /// The backend of llama.cpp.
        backend: GpuBackend,
        /// The index among the devices of that backend, from 0.
        index: usize,
    },
}

/// llama.cpp's GPU backends. Each is enabled by the cargo feature of the same name. None
/// of them has been tested with Hostler yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuBackend {
    /// NVIDIA.
    Cuda,
    /// Apple.
    Metal,
    /// Any vendor, through Vulkan.
    Vulkan,
    /// AMD.
    Rocm,
}

impl GpuBackend {
    const ALL: [Self; 4] = [Self::Cuda, Self::Metal, Self::Vulkan, Self::Rocm];

    /// The name in devices and cargo features.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Metal => "metal",
            Self::Vulkan => "vulkan",
            Self::Rocm => "rocm",
        }
    }

    /// The name of its ggml registry.
    pub(crate) const fn ggml_name(self) -> &'static str {
        match self {
            Self::Cuda => "CUDA",
            Self::Metal => "MTL",
            Self::Vulkan => "Vulkan",
            Self::Rocm => "ROCm",
        }
    }

    /// Whether this build includes it.
    pub(crate) const fn is_built_in(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(None) => f.write_str("cpu"),
            Self::Cpu(Some(cores)) => write!(f, "cpu:{cores}"),
            Self::Gpu { backend: GpuBackend::Metal, index: 0 } => f.write_str("metal"),
            Self::Gpu { backend, index } => write!(f, "{}:{index}", backend.as_str()),
        }
    }
}

/// The index of a GPU may be omitted; the default is 0.
impl FromStr for Device {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| LoadError::Device { device: text.to_owned(), reason };
        let (kind, which) = match text.split_once(':') {
            Some((kind, which)) => (kind, Some(which)),
            None => (text, None),
        };
        if kind == "cpu" {
            let cores = which.map(CoreSet::from_str).transpose().map_err(error)?;
            return Ok(Self::Cpu(cores));
        }
        let Some(backend) = GpuBackend::ALL.into_iter().find(|backend| backend.as_str() == kind) else {
            return Err(error("llama.cpp supports cpu, cpu:0-3, cuda:0, metal, vulkan:0 and rocm:0".into()));
        };
        let index = match which {
            None => 0,
            Some(which) => which.parse().map_err(|_| error(format!("{which:?} is not a device index")))?,
        };
        Ok(Self::Gpu { backend, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_parsed_from_their_text_form() {
        for text in ["cpu", "cpu:0-3", "cpu:1", "cpu:0,2-3", "cuda:1", "metal", "vulkan:0", "rocm:3"] {
            let device: Device = text.parse().expect(text);
            assert_eq!(device.to_string(), text);
        }
        let device: Device = "cuda".parse().expect("the index may be omitted");
        assert_eq!(device.to_string(), "cuda:0");
    }

    #[test]
    fn an_invalid_device_is_rejected_with_its_name() {
        for text in ["", "tpu", "cuda:x", "cpu:", "cpu:3-1", "cpu:1-", "cpu:0-9999999"] {
            let error = text.parse::<Device>().expect_err(text);
            assert!(matches!(error, LoadError::Device { device, .. } if device == text));
        }
    }
}
