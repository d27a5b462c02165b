//! Loading, as something that can be done again after a failure.

use std::sync::Arc;

use crate::{LoadError, ModelExecutor};

/// Loads a model. It is kept, so that a failed engine can be replaced by a fresh one.
pub trait ExecutorFactory: Send + Sync + 'static {
    /// Loads the model. Blocks, for seconds or minutes: call it off the async threads.
    ///
    /// # Errors
    /// [`LoadError`]. A panic inside an engine is one too.
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError>;
}

/// Hears how far loading has come.
pub trait LoadProgress: Send + Sync {
    /// A stage began.
    fn stage(&self, stage: LoadStage);
}

/// What loading is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStage {
    /// Reading weights into memory.
    Weights,
    /// First steps, so that the first request is not the slow one.
    WarmUp,
}

/// Nobody listens.
impl LoadProgress for () {
    fn stage(&self, _stage: LoadStage) {}
}
