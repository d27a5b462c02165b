//! What the NVIDIA driver reports of the machine's GPUs: memory, utilisation, power,
//! temperature, energy. The driver's management library (NVML) is loaded at run time, so
//! that a machine without a driver only has no readings.

use std::ffi::OsStr;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

/// The GPUs that the NVIDIA driver manages.
#[derive(Debug)]
pub struct NvidiaGpus {
    nvml: Nvml,
}

/// What the driver reports of a GPU at one moment. A value that this GPU does not report is
/// `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Memory in use by all processes, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Memory of the GPU, in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Share of the driver's last sampling period (1/6 to 1 s) in which a kernel ran, 0 to 1.
    pub utilization: Option<f64>,
    /// Power draw, in watts.
    pub power_watts: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_celsius: Option<u32>,
    /// Energy since the driver was loaded, in joules.
    pub energy_joules: Option<f64>,
}

impl NvidiaGpus {
    /// Loads the driver's library; `None` if this machine has no driver.
    #[must_use]
    pub fn open() -> Option<Self> {
        Nvml::init().ok().map(|nvml| Self { nvml })
    }

    /// Loads the library from a path.
    ///
    /// # Errors
    /// The library cannot be loaded, or the driver does not answer.
    pub fn open_library(path: &OsStr) -> Result<Self, NvmlError> {
        Nvml::builder().lib_path(path).init().map(|nvml| Self { nvml })
    }

    /// The number of GPUs.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.nvml.device_count().unwrap_or(0)
    }

    /// The name of a GPU, such as `NVIDIA H100 80GB HBM3`.
    #[must_use]
    pub fn name(&self, gpu: &str) -> Option<String> {
        self.device(gpu)?.name().ok()
    }

    /// Reads a GPU, by its index or UUID, the forms of an entry of `CUDA_VISIBLE_DEVICES`. `None`
    /// if there is no such GPU.
    #[must_use]
    pub fn read(&self, gpu: &str) -> Option<Reading> {
        let device = self.device(gpu)?;
        let memory = device.memory_info().ok();
        Some(Reading {
            memory_used_bytes: memory.as_ref().map(|memory| memory.used),
            memory_total_bytes: memory.map(|memory| memory.total),
            utilization: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0),
            power_watts: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1000.0),
            temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
            energy_joules: device.total_energy_consumption().ok().map(|millijoules| millijoules as f64 / 1000.0),
        })
    }

    fn device(&self, gpu: &str) -> Option<Device<'_>> {
        match gpu.parse() {
            Ok(index) => self.nvml.device_by_index(index).ok(),
            Err(_) => self.nvml.device_by_uuid(gpu).ok(),
        }
    }
}
