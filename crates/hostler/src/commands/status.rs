//! `hostler status`: shows the cluster of a running Hostler.

mod output;
mod query;
mod table;
mod tables;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::MissedTickBehavior;

use crate::cli::StatusOptions;
use crate::client::ApiClient;
use crate::signals::Signals;
use output::Output;
use query::QueryError;

pub(crate) fn run(options: &StatusOptions, as_json: bool) -> anyhow::Result<()> {
    let client = ApiClient::new(&options.url, options.api_key.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = if options.watch {
        let output = Output::watching(as_json, &options.url, options.interval);
        runtime.block_on(watch(&client, Duration::from_secs_f64(options.interval), output))
    } else {
        runtime.block_on(once(&client, Output::once(as_json)))
    };
    match result {
        // The reader has closed the pipe, as in `hostler status --watch | head`.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(is_closed_pipe) => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

async fn once(client: &ApiClient, mut output: Output) -> anyhow::Result<()> {
    let answer = query::cluster(client).await?;
    Ok(output.show(&answer)?)
}

/// Queries the server at intervals until a signal arrives. After the first answer, it continues
/// while the server is unavailable, because it may be restarting.
async fn watch(client: &ApiClient, every: Duration, mut output: Output) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_answer = None;
    loop {
        let query = async {
            ticks.tick().await;
            query::cluster(client).await
        };
        let result = tokio::select! {
            _ = signals.next() => return Ok(()),
            result = query => result,
        };
        match (result, last_answer) {
            (Ok(answer), _) => {
                last_answer = Some(Instant::now());
                output.show(&answer)?;
            }
            (Err(QueryError::Unavailable(reason)), Some(then)) => output.show_unavailable(&reason, then.elapsed())?,
            (Err(error), _) => return Err(error.into()),
        }
    }
}
