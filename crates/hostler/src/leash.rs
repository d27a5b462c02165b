//! A child's connection to its parent process: its standard input.
//!
//! The first line is the configuration. A second line tells the child to complete the running
//! requests and exit. If the input closes without it, the parent is gone, and the child exits.

use std::io::BufRead;

use anyhow::Context;
use hostler_cluster::supervisor::SHUTDOWN_LINE;
use hostler_config::{Config, Device};
use tokio::sync::oneshot;

use crate::{configuration, process};

/// The exit code of a child whose parent is gone.
const ORPHANED: i32 = 1;

/// Resolves when the parent tells the child to exit.
pub(crate) type Leash = oneshot::Receiver<()>;

/// Reads the configuration and binds this process to its device. Must be called before other
/// threads are started.
pub(crate) fn take() -> anyhow::Result<(Config, Leash)> {
    process::die_with_parent();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let toml: String = serde_json::from_str(&line).context("the parent process sent no configuration")?;
    let config = configuration::load_child(&toml)?;
    if let Some(Device::Cores(cores)) = config.schedulers.first().map(|scheduler| &scheduler.spec.device) {
        process::bind(cores).with_context(|| format!("cannot run on the cores {cores}"))?;
    }
    let (end, leash) = oneshot::channel();
    std::thread::Builder::new().name("leash".to_owned()).spawn(move || hold(end))?;
    Ok((config, leash))
}

fn hold(end: oneshot::Sender<()>) {
    let mut line = String::new();
    if !matches!(std::io::stdin().lock().read_line(&mut line), Ok(1..)) || line != SHUTDOWN_LINE {
        std::process::exit(ORPHANED);
    }
    // An error means that this process is exiting already.
    let _ = end.send(());
    line.clear();
    // The parent may still die while the child completes its requests.
    if !matches!(std::io::stdin().lock().read_line(&mut line), Ok(1..)) {
        std::process::exit(ORPHANED);
    }
}
