//! `hostler status`: what a running Hostler says of its cluster.

mod ask;
mod cluster;
mod output;
mod table;
mod tables;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::MissedTickBehavior;

use crate::cli::StatusOptions;
use crate::signals::Signals;
use ask::{Client, NoAnswer};
use output::Output;

pub(crate) fn run(options: &StatusOptions, as_json: bool) -> anyhow::Result<()> {
    let client = Client::new(&options.url, options.api_key.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = if options.watch {
        let output = Output::watching(as_json, &options.url, options.interval);
        runtime.block_on(watch(&client, Duration::from_secs_f64(options.interval), output))
    } else {
        runtime.block_on(once(&client, Output::once(as_json)))
    };
    match done {
        // Whoever read has read enough: `hostler status --watch | head`.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_left) => Ok(()),
        done => done,
    }
}

fn is_left(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

async fn once(client: &Client, mut output: Output) -> anyhow::Result<()> {
    let answer = client.cluster().await?;
    Ok(output.show(&answer)?)
}

/// Looks again and again until a signal comes. A server that is away once it has been
/// seen is waited for: it may be starting again.
async fn watch(client: &Client, every: Duration, mut output: Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        let look = async {
            ticks.tick().await;
            client.cluster().await
        };
        let looked = tokio::select! {
            _ = signals.next() => return Ok(()),
            looked = look => looked,
        };
        match (looked, seen) {
            (Ok(answer), _) => {
                seen = Some(Instant::now());
                output.show(&answer)?;
            }
            (Err(NoAnswer::Away(why)), Some(then)) => output.show_away(&why, then.elapsed())?,
            (Err(error), _) => return Err(error.into()),
        }
    }
}
