//! The progress bar, with tokens per second as they come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::bench::Observer;
use crate::measure::{Live, RunSummary};

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
    fn run_started(&self, contestant: &str, round: u32, rounds: u32, requests: u64, live: &Arc<Live>) {
        let bar = ProgressBar::new(requests);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} requests, {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(format!("{contestant} {round}/{rounds}"));
        let task = tokio::spawn(draw(bar.clone(), Arc::clone(live)));
        self.replace(Some(Drawing { bar, task }));
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
