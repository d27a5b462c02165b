//! The weight format of a GGUF file.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::path::Path;

use llama_cpp_sys_2 as sys;

/// The type of most bytes of the file's tensors, in llama.cpp's spelling (`Q8_0`, `Q4_K`,
/// `F16`); `None` if the file is not valid GGUF.
///
/// The field `general.file_type` is not used, because conversion tools often do not
/// update it.
pub(crate) fn dominant_tensor_type(path: &Path) -> Option<String> {
    let path = CString::new(path.to_str()?).ok()?;
    // SAFETY: the path is a C string; the parameters request the header only.
    let file = unsafe {
        sys::gguf_init_from_file(path.as_ptr(), sys::gguf_init_params { no_alloc: true, ctx: std::ptr::null_mut() })
    };
    if file.is_null() {
        return None;
    }
    let mut bytes_by_type: HashMap<sys::ggml_type, usize> = HashMap::new();
    // SAFETY: the file was opened above, and the ids are below its count.
    unsafe {
        for id in 0..sys::gguf_get_n_tensors(file) {
            *bytes_by_type.entry(sys::gguf_get_tensor_type(file, id)).or_default() +=
                sys::gguf_get_tensor_size(file, id);
        }
        sys::gguf_free(file);
    }
    let (&dominant, _) = bytes_by_type.iter().max_by_key(|&(_, &bytes)| bytes)?;
    // SAFETY: llama.cpp returned the type, and has a static name for each of its types.
    let name = unsafe { CStr::from_ptr(sys::ggml_type_name(dominant)) };
    Some(name.to_string_lossy().to_uppercase())
}
