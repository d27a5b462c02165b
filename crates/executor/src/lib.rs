//! The `ModelExecutor` trait: the boundary between Hostler and its engines.
//!
//! This crate knows no real engine. It defines what an engine must do
//! ([`ModelExecutor`], [`TextCodec`]), how ids become text ([`text`]), how
//! tokens leave it ([`output`]), and what
//! every engine is tested against ([`contract`]). The [`simulated`] engine lives
//! here because tests and capacity planning need one everywhere.

mod constraint;
pub mod contract;
mod error;
mod executor;
mod load;
pub mod output;
mod sequence;
pub mod simulated;
pub mod text;

pub use constraint::{CompileFuture, CompiledConstraint};
pub use error::{LoadError, TextError};
pub use executor::{EmbeddingFuture, ModelExecutor, Progress, TextCodec};
pub use load::{ExecutorFactory, LoadProgress, LoadStage};
pub use output::{CancelHandle, EndReport, EndState, SequenceObserver, TokenSink, TokenStream, token_channel};
pub use sequence::Sequence;
