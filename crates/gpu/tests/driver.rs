//! Readings from a driver of the tests' own, and none from a missing one.

use std::path::Path;
use std::process::Command;

use hostler_gpu::{NvidiaGpus, Reading};

fn driver() -> NvidiaGpus {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libnvidia-ml.so.1");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(compiled.expect("a C compiler").success());
    NvidiaGpus::open_library(library.as_os_str()).expect("the library loads")
}

#[test]
fn a_gpu_is_read_by_index_and_by_uuid_and_a_missing_value_is_absent() {
    let gpus = driver();
    assert_eq!(gpus.count(), 1);
    assert_eq!(gpus.name("0").as_deref(), Some("Test GPU"));
    let reading = Reading {
        memory_used_bytes: Some(20 << 30),
        memory_total_bytes: Some(80 << 30),
        utilization: Some(0.75),
        power_watts: Some(350.5),
        temperature_celsius: Some(61),
        // The driver of the tests has no such function.
        energy_joules: None,
    };
    assert_eq!(gpus.read("0"), Some(reading));
    assert_eq!(gpus.read("GPU-1234"), Some(reading));
    assert_eq!(gpus.read("1"), None);
    assert_eq!(gpus.read("GPU-5678"), None);
}

#[test]
fn a_missing_library_is_an_error() {
    assert!(NvidiaGpus::open_library("/nowhere/libnvidia-ml.so.1".as_ref()).is_err());
}
