//! Long work, as someone who waits for it sees it.

/// Hears how a pull goes on. Called from one thread at a time.
pub trait PullProgress: Sync {
    /// A stage begins. `total` is in the stage's unit, where it is known.
    fn begin(&self, stage: PullStage, total: Option<u64>);
    /// So much of the stage is done.
    fn advance(&self, done: u64);
}

/// What a pull is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStage {
    /// Another process pulls the same model.
    Wait,
    /// Fetching a file; in bytes.
    Download(String),
    /// Computing a file's checksum; in bytes.
    Verify(String),
    /// Rewriting the weights; in tensors.
    Convert(String),
}

/// Nobody listens.
impl PullProgress for () {
    fn begin(&self, _stage: PullStage, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
}
