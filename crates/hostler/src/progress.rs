//! Progress of long work: bars on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hostler_executor::{ExecutorFactory, LoadError, LoadProgress, LoadStage, ModelExecutor};
use hostler_models::{PullProgress, PullStage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {eta}";
const ITEMS: &str = "{msg} {wide_bar} {pos}/{len} {eta}";
const SPINNER: &str = "{spinner} {msg} {elapsed}";

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well-formed")
}

/// Shows the progress of a pull, on standard error.
pub(crate) struct PullBar {
    /// `None`: standard error is not a terminal.
    bar: Option<Mutex<ProgressBar>>,
}

impl PullBar {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| Mutex::new(ProgressBar::hidden()));
        Self { bar }
    }
}

impl PullProgress for PullBar {
    fn begin(&self, stage: PullStage, total: Option<u64>) {
        let (message, template) = match &stage {
            PullStage::Wait => ("waiting for another pull of this model".to_owned(), SPINNER),
            PullStage::Download(name) => (format!("downloading {name}"), BYTES),
            PullStage::Verify(name) => (format!("checking {name}"), BYTES),
            PullStage::Convert(name) => (format!("converting to {name}"), ITEMS),
        };
        let Some(bar) = &self.bar else {
            eprintln!("{message}");
            return;
        };
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.finish_and_clear();
        *bar = ProgressBar::new(total.unwrap_or(0)).with_style(style(template)).with_message(message);
        bar.enable_steady_tick(TICK);
    }

    fn advance(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.lock().unwrap_or_else(PoisonError::into_inner).set_position(done);
        }
    }
}

impl Drop for PullBar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.lock().unwrap_or_else(PoisonError::into_inner).finish_and_clear();
        }
    }
}

/// Shows that models are loading, from [`LoadSpinner::start`] to
/// [`LoadSpinner::finish`].
#[derive(Clone)]
pub(crate) struct LoadSpinner(ProgressBar);

impl LoadSpinner {
    pub(crate) fn new() -> Self {
        Self(ProgressBar::hidden().with_style(style(SPINNER)).with_message("loading"))
    }

    pub(crate) fn start(&self) {
        if std::io::stderr().is_terminal() {
            self.0.set_draw_target(ProgressDrawTarget::stderr());
            self.0.reset_elapsed();
            self.0.enable_steady_tick(TICK);
        }
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }

    fn say(&self, message: String) {
        // An engine that is restarted later is loaded without a spinner.
        if self.0.is_hidden() || self.0.is_finished() {
            tracing::info!("{message}");
        } else {
            self.0.set_message(message);
        }
    }
}

/// A factory whose loading stages are shown.
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) inner: Arc<dyn ExecutorFactory>,
    pub(crate) spinner: LoadSpinner,
}

impl ExecutorFactory for Shown {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        self.inner.load(&Stages { shown: self, progress })
    }
}

struct Stages<'a> {
    shown: &'a Shown,
    progress: &'a dyn LoadProgress,
}

impl LoadProgress for Stages<'_> {
    fn stage(&self, stage: LoadStage) {
        let what = match stage {
            LoadStage::Weights => "reading weights",
            LoadStage::WarmUp => "warming up",
        };
        self.shown.spinner.say(format!("loading {}: {what}", self.shown.name));
        self.progress.stage(stage);
    }
}
