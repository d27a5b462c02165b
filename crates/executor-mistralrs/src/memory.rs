//! Memory that a dropped model leaves behind.

/// Gives freed memory back to the system. glibc keeps it otherwise: all of a model's
/// weights, until something else needs as much.
pub(crate) fn give_back_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn trim() {
    // SAFETY: glibc's allocator locks itself; the call touches nothing but memory
    // that is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
