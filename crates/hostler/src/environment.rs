//! Environment variables that must be set before this process starts.
//!
//! Some libraries read the environment while the program is loaded, long before `main`.
//! So the program sets what is missing and executes itself again, in place: the process id
//! and the open files stay the same. Variables that the user has set are not changed.

/// Executes the program again if its environment lacks a variable that an engine needs.
/// Returns if none is missing, or if the attempt fails, which costs only speed.
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
    eprintln!("cannot restart with a complete environment, so llama.cpp may be slower: {error}");
}

/// The engines of this build need no variables.
#[cfg(not(all(unix, feature = "llamacpp")))]
pub(crate) fn complete() {}
