//! The GPUs of this machine: which one `auto` means, their metrics, and the energy they use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hostler_config::Device;
use hostler_gpu::{NvidiaGpus, Reading};
use hostler_loadgen::target::EnergyMeter;
use hostler_protocol::{ModelId, SchedulerId};
use hostler_telemetry::catalogue;

/// How often the driver is asked. NVML itself averages over up to a second.
const INTERVAL: Duration = Duration::from_secs(2);

/// The environment variable by which the driver restricts and renumbers a process's GPUs.
pub(crate) const CUDA_VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// What the device `auto` is here: the first GPU of the kind that this binary is built for, if
/// the machine has one, else the CPU.
pub(crate) fn automatic_device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        if cfg!(feature = "cuda") {
            // Asks NVML, because CUDA would start a context that child processes do not need.
            if NvidiaGpus::open().is_some_and(|gpus| gpus.count() > 0) { Device::Cuda(0) } else { Device::Cpu }
        } else if cfg!(feature = "metal") {
            Device::Metal
        } else if cfg!(feature = "rocm") {
            Device::Rocm(0)
        } else if cfg!(feature = "vulkan") {
            Device::Vulkan(0)
        } else {
            Device::Cpu
        }
    })
}

/// The driver's index or UUID of the device that has number `index` in this process.
pub(crate) fn visible(here: Option<&str>, index: u32) -> String {
    let listed = here.and_then(|here| here.split(',').nth(index as usize));
    listed.map_or_else(|| index.to_string(), |device| device.trim().to_owned())
}

/// The driver's index or UUID of a device; `None` if it is no NVIDIA GPU.
fn nvidia_gpu(device: &Device) -> Option<String> {
    let device = if *device == Device::Auto { automatic_device() } else { device };
    let Device::Cuda(index) = device else { return None };
    Some(visible(std::env::var(CUDA_VISIBLE).ok().as_deref(), *index))
}

/// The energy of one or more GPUs of this machine.
pub(crate) struct GpuEnergy {
    gpus: Arc<NvidiaGpus>,
    measured: Vec<String>,
}

impl GpuEnergy {
    /// The meter of GPUs by the driver's index or UUID.
    ///
    /// # Errors
    /// There is no driver, or one of the GPUs does not report its energy.
    pub(crate) fn open(measured: Vec<String>) -> anyhow::Result<Self> {
        let gpus = NvidiaGpus::open().ok_or_else(|| {
            anyhow::anyhow!("the NVIDIA driver's management library (libnvidia-ml.so.1) cannot be loaded")
        })?;
        let meter = Self { gpus: Arc::new(gpus), measured };
        let silent = meter.measured.iter().find(|gpu| meter.joules_of(gpu).is_none());
        if let Some(gpu) = silent {
            let count = meter.gpus.count();
            anyhow::bail!("GPU {gpu} does not report its energy; this machine has {count}, numbered from 0");
        }
        Ok(meter)
    }

    /// The meter of the GPU of a scheduler; `None` if it runs on none.
    pub(crate) fn of_device(device: &Device) -> Option<Self> {
        Self::open(vec![nvidia_gpu(device)?]).ok()
    }

    fn joules_of(&self, gpu: &str) -> Option<f64> {
        self.gpus.read(gpu)?.energy_joules
    }
}

impl EnergyMeter for GpuEnergy {
    fn joules(&self) -> Option<f64> {
        self.measured.iter().map(|gpu| self.joules_of(gpu)).sum()
    }
}

/// A scheduler of this process and its GPU.
pub(crate) struct Watched {
    scheduler: SchedulerId,
    model: ModelId,
    gpu: String,
}

impl Watched {
    /// `None` if the scheduler does not run on an NVIDIA GPU.
    pub(crate) fn new(scheduler: &SchedulerId, model: &ModelId, device: &Device) -> Option<Self> {
        let gpu = nvidia_gpu(device)?;
        Some(Self { scheduler: scheduler.clone(), model: model.clone(), gpu })
    }

    fn record(&self, reading: Reading) {
        let labels: &[&str] = &[self.model.as_str(), self.scheduler.as_str(), &self.gpu];
        let gauges = [
            (catalogue::GPU_MEMORY_USED, reading.memory_used_bytes.map(|bytes| bytes as f64)),
            (catalogue::GPU_MEMORY_TOTAL, reading.memory_total_bytes.map(|bytes| bytes as f64)),
            (catalogue::GPU_UTILIZATION, reading.utilization),
            (catalogue::GPU_POWER, reading.power_watts),
            (catalogue::GPU_TEMPERATURE, reading.temperature_celsius.map(f64::from)),
        ];
        for (metric, value) in gauges {
            if let Some(value) = value {
                metric.gauge(labels).set(value);
            }
        }
        if let Some(joules) = reading.energy_joules {
            catalogue::GPU_ENERGY.counter(labels).absolute(joules as u64);
        }
    }
}

/// Records the metrics of the schedulers' GPUs while it is polled. Returns if there is nothing
/// to record: no scheduler on an NVIDIA GPU, or no driver.
pub(crate) async fn record_metrics(watched: Vec<Watched>) {
    if watched.is_empty() {
        return;
    }
    let Some(gpus) = NvidiaGpus::open().map(Arc::new) else {
        tracing::warn!("the driver's management library (libnvidia-ml.so.1) is missing: no metrics of GPUs");
        return;
    };
    let watched = Arc::new(watched);
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let (gpus, watched) = (Arc::clone(&gpus), Arc::clone(&watched));
        // The driver may take milliseconds to answer.
        let read = tokio::task::spawn_blocking(move || {
            for scheduler in watched.iter() {
                if let Some(reading) = gpus.read(&scheduler.gpu) {
                    scheduler.record(reading);
                }
            }
        });
        if read.await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_behind_cuda_visible_devices() {
        assert_eq!(visible(None, 1), "1");
        assert_eq!(visible(Some("4, 7"), 1), "7");
        assert_eq!(visible(Some("GPU-1234"), 0), "GPU-1234");
    }

    #[test]
    fn only_schedulers_on_nvidia_gpus_are_watched() {
        let watched = |device: &str| Watched::new(&"s".into(), &ModelId::new("m"), &device.parse().expect("a device"));
        assert!(watched("cpu").is_none() && watched("vulkan:0").is_none());
        assert!(watched("cuda:1").is_some());
    }
}
