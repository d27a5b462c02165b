//! Progress of a pull.

/// Receives the progress of a pull. Called from one thread at a time.
pub trait PullProgress: Sync {
    /// A stage begins. `total` is in the stage's unit, if known.
    fn begin(&self, stage: PullStage, total: Option<u64>);
    /// This much of the stage is done, in its unit.
    fn advance(&self, done: u64);
}

/// What a pull is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStage {
    /// Waiting for another process that pulls the same model.
    Wait,
    /// Downloading a file; in bytes.
    Download(String),
    /// Computing a file's checksum; in bytes.
    Verify(String),
    /// Converting the weights; in tensors.
    Convert(String),
}

/// Ignores progress.
impl PullProgress for () {
    fn begin(&self, _stage: PullStage, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
}
