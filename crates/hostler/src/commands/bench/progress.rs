//! Progress bars with the current tokens per second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_benchmark::{ProgressReport, RunProgress, Status};
use hostler_loadgen::measure::{LiveCounters, RunSummary};
use hostler_loadgen::rounds::{RunInfo, RunObserver};
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

/// Interval between updates of the bar: short enough to look alive, and long enough to cost
/// the load generator nothing.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// Draws a bar on standard error, if that is a terminal, and prints one line per ended run.
#[derive(Default)]
pub(super) struct TerminalProgress(Mutex<Option<ActiveBar>>);

/// A bar, and the task that draws it until this is dropped.
struct ActiveBar {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Drop for ActiveBar {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

impl RunObserver for TerminalProgress {
    fn run_started(&self, run: &RunInfo<'_>, live: &Arc<LiveCounters>) {
        let bar = bar(run.requests, prefix(run.target, run.round, run.rounds, run.is_warm_up));
        let task = tokio::spawn(draw(bar.clone(), Arc::clone(live)));
        self.replace(Some(ActiveBar { bar, task }));
    }

    fn run_ended(&self, target: &str, summary: &RunSummary) {
        self.replace(None);
        eprintln!(
            "{target}: {:.1} tokens/s, {} requests in {:.2} s, {} failed",
            summary.output_tokens_per_second, summary.requests, summary.seconds, summary.failed
        );
    }
}

impl TerminalProgress {
    fn replace(&self, bar: Option<ActiveBar>) {
        *self.0.lock() = bar;
    }
}

async fn draw(bar: ProgressBar, live: Arc<LiveCounters>) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(DRAW_INTERVAL);
    loop {
        ticks.tick().await;
        let rate = live.tokens() as f64 / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        bar.set_position(live.ended());
        bar.set_message(message(rate, live.in_flight(), live.failed()));
    }
}

/// The label of a run.
fn prefix(target: &str, round: u32, rounds: u32, is_warm_up: bool) -> String {
    let suffix = if is_warm_up { " warm-up" } else { "" };
    format!("{target} {round}/{rounds}{suffix}")
}

fn message(tokens_per_second: f64, in_flight: u64, failed: u64) -> String {
    format!("{tokens_per_second:.1} tokens/s, {in_flight} in flight, {failed} failed")
}

/// A bar for one run, as wide as the terminal.
fn bar(requests: u64, prefix: String) -> ProgressBar {
    let bar = ProgressBar::new(requests);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} done, {msg}") {
        bar.set_style(style);
    }
    bar.with_prefix(prefix)
}

/// Shows the progress reports of a server: a line for each change of the status, a bar for
/// each run.
#[derive(Default)]
pub(super) struct RemoteProgress {
    status: Option<Status>,
    bar: Option<ProgressBar>,
}

impl RemoteProgress {
    pub(super) fn show(&mut self, report: &ProgressReport) {
        if self.status != Some(report.status) {
            self.status = Some(report.status);
            self.clear();
            eprintln!("{}", report.status.as_str());
        }
        match &report.run {
            Some(run) => self.show_run(run),
            None => self.clear(),
        }
    }

    fn show_run(&mut self, run: &RunProgress) {
        let prefix = prefix(&run.target, run.round, run.rounds, run.is_warm_up);
        if self.bar.as_ref().is_none_or(|bar| bar.prefix() != prefix) {
            self.clear();
            self.bar = Some(bar(run.requests, prefix));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(run.requests_ended);
            bar.set_message(message(run.tokens_per_second, run.requests_in_flight, run.requests_failed));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for RemoteProgress {
    fn drop(&mut self) {
        self.clear();
    }
}
