//! The progress bar, with tokens per second as they come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::bench::Observer;
use crate::measure::{Live, RunSummary};
use crate::service::{ProgressReport, RunProgress, Status};

/// How often the bar is drawn: often enough to look alive, and too seldom to
/// cost the generator anything.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// Draws on standard error, if that is a terminal. Without one, a line for each
/// run says that it has ended.
#[derive(Default)]
pub(super) struct Progress(Mutex<Option<Drawing>>);

/// A bar, and the task that draws it until it is dropped.
struct Drawing {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn warm_up_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>) {
        self.follow(requests, prefix(contestant, round, rounds, true), live);
    }

    fn run_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>) {
        self.follow(requests, prefix(contestant, round, rounds, false), live);
    }

    fn run_ended(&self, contestant: &str, summary: &RunSummary) {
        self.replace(None);
        eprintln!(
            "{contestant}: {:.1} tokens/s, {} requests in {:.2} s, {} failed",
            summary.output_tokens_per_second, summary.requests, summary.seconds, summary.failed
        );
    }
}

impl Progress {
    fn follow(&self, requests: u64, prefix: String, live: &Arc<Live>) {
        let bar = bar(requests, prefix);
        let task = tokio::spawn(draw(bar.clone(), Arc::clone(live)));
        self.replace(Some(Drawing { bar, task }));
    }

    fn replace(&self, drawing: Option<Drawing>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = drawing;
    }
}

async fn draw(bar: ProgressBar, live: Arc<Live>) {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(DRAW_INTERVAL);
    loop {
        ticks.tick().await;
        let rate = live.tokens() as f64 / began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        bar.set_position(live.ended());
        bar.set_message(format!("{rate:.1} tokens/s, {} in flight, {} failed", live.in_flight(), live.failed()));
    }
}

/// What is under way.
fn prefix(contestant: &str, round: u32, rounds: u32, is_warm_up: bool) -> String {
    let what = if is_warm_up { " warm-up" } else { "" };
    format!("{contestant} {round}/{rounds}{what}")
}

/// A bar for one run, as wide as the terminal leaves it.
fn bar(requests: u64, prefix: String) -> ProgressBar {
    let bar = ProgressBar::new(requests);
    if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} done, {msg}") {
        bar.set_style(style);
    }
    bar.with_prefix(prefix)
}

/// Shows what a Hostler elsewhere says of its progress: a line for each change of the
/// status, a bar for each run.
#[derive(Default)]
pub(super) struct ReportBar {
    status: Option<Status>,
    bar: Option<ProgressBar>,
}

impl ReportBar {
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
        let prefix = prefix(&run.contestant, run.round, run.rounds, run.is_warm_up);
        if self.bar.as_ref().is_none_or(|bar| bar.prefix() != prefix) {
            self.clear();
            self.bar = Some(bar(run.requests, prefix));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(run.requests_ended);
            let (rate, in_flight, failed) = (run.tokens_per_second, run.requests_in_flight, run.requests_failed);
            bar.set_message(format!("{rate:.1} tokens/s, {in_flight} in flight, {failed} failed"));
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for ReportBar {
    fn drop(&mut self) {
        self.clear();
    }
}
