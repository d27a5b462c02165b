//! The weight format and size of a model's files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::Content;

/// The type of most bytes of a GGUF file's tensors, in llama.cpp's spelling (`Q8_0`,
/// `Q4_K`, `F16`).
///
/// The field `general.file_type` is not used, because conversion tools often do not update
/// it.
///
/// # Errors
/// The file is not valid GGUF.
pub(crate) fn gguf_weight_format(path: &Path) -> candle_core::Result<String> {
    let content = Content::read(&mut BufReader::new(File::open(path)?))?;
    let mut bytes_by_type: HashMap<String, usize> = HashMap::new();
    for info in content.tensor_infos.values() {
        let blocks = info.shape.elem_count() / info.ggml_dtype.block_size();
        *bytes_by_type.entry(format!("{:?}", info.ggml_dtype)).or_default() += blocks * info.ggml_dtype.type_size();
    }
    let dominant = bytes_by_type.into_iter().max_by_key(|&(_, bytes)| bytes).map(|(name, _)| name);
    Ok(with_underscore(&dominant.unwrap_or_default()))
}

/// candle spells `Q8_0` with the underscore, but `Q4K` without.
fn with_underscore(name: &str) -> String {
    match name.strip_suffix('K') {
        Some(bits) if bits.starts_with('Q') => format!("{bits}_K"),
        _ => name.to_uppercase(),
    }
}

/// Size of one file, or of all safetensors in a folder, in bytes; 0 if there are none.
pub(crate) fn weight_bytes(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    if path.is_file() {
        return size(path);
    }
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let files = entries.flatten().map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "safetensors"))
        .map(|file| size(&file))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_llama_cpps_spelling() {
        assert_eq!(["Q8_0", "Q4K", "Q8K", "F16", "BF16"].map(with_underscore), ["Q8_0", "Q4_K", "Q8_K", "F16", "BF16"]);
    }

    #[test]
    fn the_weights_of_a_folder_are_its_safetensors() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in [("model-1-of-2.safetensors", 5), ("model-2-of-2.safetensors", 7), ("config.json", 9)] {
            fs::write(folder.path().join(name), vec![0; bytes]).expect("a file");
        }
        assert_eq!(weight_bytes(folder.path()), 12);
        assert_eq!(weight_bytes(&folder.path().join("config.json")), 9);
        assert_eq!(weight_bytes(&folder.path().join("nothing")), 0);
    }
}
