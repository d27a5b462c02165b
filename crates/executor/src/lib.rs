//! The `ModelExecutor` trait: the boundary between Hostler and its engines.
//!
//! This crate depends on no real engine. It defines the engine's interface
//! ([`ModelExecutor`], [`TextCodec`]), incremental detokenization ([`text`]), the
//! output channel of a sequence ([`output`]), and the contract suite that every
//! engine is tested against ([`contract`]). The [`simulated`] engine is part of this
//! crate because tests and capacity planning need one everywhere.

mod constraint;
pub mod contract;
mod error;
mod executor;
pub mod output;
mod sequence;
pub mod simulated;
mod status;
pub mod text;

pub use constraint::{CompileFuture, CompiledConstraint};
pub use error::{LoadError, TextError};
pub use executor::{EmbeddingFuture, ExecutorFactory, LoadProgress, LoadStage, ModelExecutor, TextCodec};
pub use output::{CancelHandle, EndReport, EndState, SequenceObserver, TokenSink, TokenStream, token_channel};
pub use sequence::Sequence;
pub use status::{DeadOnDrop, EngineProgress, EngineStatus};
