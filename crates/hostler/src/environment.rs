//! What must stand in the environment before this process starts.
//!
//! Some libraries read the environment while the program is loaded, long before `main`.
//! So the program puts what is missing there and starts itself again, in place: the
//! process id stays, and so do its files. What the user has set is left alone.

/// Starts the program again if its environment lacks something that an engine needs.
/// Returns if nothing is missing, or if it cannot be done, which costs speed only.
#[cfg(all(unix, feature = "llamacpp"))]
pub(crate) fn complete() {
    use std::os::unix::process::CommandExt;

    let wanted = hostler_executor_llamacpp::PROCESS_ENVIRONMENT;
    let missing: Vec<_> = wanted.into_iter().filter(|(name, _)| std::env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).envs(missing).exec();
    eprintln!("cannot start again with a complete environment, hence llama.cpp may be slower: {error}");
}

/// Nothing is missing for the engines of this build.
#[cfg(not(all(unix, feature = "llamacpp")))]
pub(crate) fn complete() {}
