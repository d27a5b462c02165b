//! Rewrites a GGUF file in the weight format that is fastest with this engine.
//!
//! On a CPU with AVX2, candle multiplies `Q8_0` with vector instructions and `Q4_1` with
//! scalar ones, so the smaller format is slower (57 instead of 75 tokens/s with the demo
//! model on two cores). A model is rewritten once, when it is pulled.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{D, Device};

/// The new type of the matrices.
const TARGET_DTYPE: GgmlDType = GgmlDType::Q8_0;

/// `general.file_type` of a file with `Q8_0` matrices, from the GGUF specification.
const FILE_TYPE_MOSTLY_Q8_0: u32 = 7;

/// The alignment of candle's writer, which is GGUF's default.
const ALIGNMENT_BYTES: u32 = 32;

/// Why a file could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RequantiseError {
    /// The source cannot be read as GGUF.
    #[error("cannot read {path}: {reason}")]
    Source {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The target cannot be written.
    #[error("cannot write {path}: {reason}")]
    Target {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// Writes the model in `source` to `target` with every matrix in `Q8_0`.
///
/// Vectors (norms, biases) and matrices whose rows do not divide into blocks keep their
/// type; metadata is kept except for what describes the weights. The target is written
/// atomically. All its weights are in memory during the call. `progress` is called with the
/// number of tensors that are done and their total.
///
/// # Errors
/// [`RequantiseError`]; no partial file is left.
pub fn requantise_gguf(source: &Path, target: &Path, progress: &dyn Fn(usize, usize)) -> Result<(), RequantiseError> {
    let unreadable =
        |error: &dyn std::error::Error| RequantiseError::Source { path: source.to_owned(), reason: error.to_string() };
    let unwritable =
        |error: &dyn std::error::Error| RequantiseError::Target { path: target.to_owned(), reason: error.to_string() };
    let mut reader = BufReader::new(File::open(source).map_err(|error| unreadable(&error))?);
    let content = Content::read(&mut reader).map_err(|error| unreadable(&error))?;

    // In the order of the source file, so that it is read sequentially.
    let mut infos: Vec<(&String, &TensorInfo)> = content.tensor_infos.iter().collect();
    infos.sort_by_key(|(_, info)| info.offset);
    let mut tensors = Vec::with_capacity(infos.len());
    for (done, (name, info)) in infos.iter().enumerate() {
        progress(done, infos.len());
        let tensor = info
            .read(&mut reader, content.tensor_data_offset, &Device::Cpu)
            .and_then(requantise)
            .map_err(|error| unreadable(&error))?;
        tensors.push((name.as_str(), tensor));
    }
    progress(infos.len(), infos.len());

    let partial = partial_path(target);
    write(&partial, &metadata(&content), &tensors).and_then(|()| fs::rename(&partial, target)).map_err(|error| {
        // The file may not exist; the first error is returned.
        let _ = fs::remove_file(&partial);
        unwritable(&error)
    })
}

/// Converts one tensor.
fn requantise(tensor: QTensor) -> candle_core::Result<QTensor> {
    let is_matrix = tensor.shape().rank() >= 2;
    let divides = tensor.shape().dim(D::Minus1)?.is_multiple_of(TARGET_DTYPE.block_size());
    if tensor.dtype() == TARGET_DTYPE || !is_matrix || !divides {
        return Ok(tensor);
    }
    QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, TARGET_DTYPE)
}

/// The source's metadata, updated for the target, and sorted so that the output is
/// reproducible.
fn metadata(content: &Content) -> Vec<(&str, Value)> {
    let mut metadata: Vec<(&str, Value)> = content
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .filter(|(key, _)| !matches!(*key, "general.file_type" | "general.alignment"))
        .collect();
    metadata.push(("general.file_type", Value::U32(FILE_TYPE_MOSTLY_Q8_0)));
    metadata.push(("general.alignment", Value::U32(ALIGNMENT_BYTES)));
    metadata.sort_by_key(|(key, _)| *key);
    metadata
}

/// Writes and syncs the file, before it is renamed.
fn write(path: &Path, metadata: &[(&str, Value)], tensors: &[(&str, QTensor)]) -> io::Result<()> {
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut writer = BufWriter::new(File::create(path)?);
    gguf_file::write(&mut writer, &metadata, &tensors).map_err(io::Error::other)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

/// A name in the target's folder that is unique to this process.
fn partial_path(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use candle_core::Tensor;

    use super::*;

    /// A file with one matrix that divides into blocks, one that does not, and a vector.
    fn write_source(path: &Path) {
        let tensor = |shape: &[usize]| Tensor::randn(0.0_f32, 1.0, shape, &Device::Cpu).expect("random numbers");
        let quantised = |shape: &[usize], dtype| QTensor::quantize(&tensor(shape), dtype).expect("it divides");
        let tensors = [
            ("matrix", quantised(&[4, 64], GgmlDType::Q4_1)),
            ("narrow", quantised(&[4, 12], GgmlDType::F32)),
            ("vector", quantised(&[64], GgmlDType::F32)),
        ];
        let metadata = [
            ("general.architecture", Value::String("llama".into())),
            ("general.file_type", Value::U32(3)),
            ("llama.block_count", Value::U32(1)),
        ];
        write(path, &metadata, &tensors).expect("the source is written");
    }

    #[test]
    fn matrices_are_converted_and_all_else_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let (source, target) = (folder.path().join("source.gguf"), folder.path().join("target.gguf"));
        write_source(&source);
        let progress = Cell::new((0, 0));
        requantise_gguf(&source, &target, &|done, total| progress.set((done, total))).expect("it can be rewritten");
        assert_eq!(progress.get(), (3, 3));

        let mut reader = File::open(&target).expect("the target is there");
        let content = Content::read(&mut reader).expect("the target is GGUF");
        let dtype = |name: &str| content.tensor_infos[name].ggml_dtype;
        assert_eq!(
            [dtype("matrix"), dtype("narrow"), dtype("vector")],
            [GgmlDType::Q8_0, GgmlDType::F32, GgmlDType::F32]
        );
        assert_eq!(content.metadata["general.file_type"].to_u32().ok(), Some(FILE_TYPE_MOSTLY_Q8_0));
        assert_eq!(content.metadata["llama.block_count"].to_u32().ok(), Some(1));

        let mut original = File::open(&source).expect("the source is there");
        let before = Content::read(&mut original).expect("the source is GGUF");
        let values = |content: &Content, reader: &mut File, name: &str| {
            let tensor = content.tensor(reader, name, &Device::Cpu).and_then(|tensor| tensor.dequantize(&Device::Cpu));
            tensor.and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>()).expect("it can be read")
        };
        for name in ["matrix", "narrow", "vector"] {
            let (old, new) = (values(&before, &mut original, name), values(&content, &mut reader, name));
            let worst = old.iter().zip(&new).map(|(old, new)| (old - new).abs()).fold(0.0, f32::max);
            // Half a quantisation step for the largest value of a block, about 4.
            assert!(worst < 4.0 / 127.0, "{name} differs by {worst}");
        }
    }

    #[test]
    fn a_failure_leaves_no_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("source.gguf");
        fs::write(&source, b"no model").expect("a file");
        let target = folder.path().join("target.gguf");
        assert!(matches!(requantise_gguf(&source, &target, &|_, _| {}), Err(RequantiseError::Source { .. })));
        write_source(&source);
        let missing = folder.path().join("no such folder").join("target.gguf");
        assert!(matches!(requantise_gguf(&source, &missing, &|_, _| {}), Err(RequantiseError::Target { .. })));
        assert_eq!(fs::read_dir(folder.path()).expect("the folder is there").count(), 1);
    }
}
