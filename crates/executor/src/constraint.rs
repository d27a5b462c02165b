//! Compiled constraints.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use hostler_protocol::RequestError;

/// A constraint that an engine has compiled, in its state at some position of an answer. It
/// is opaque to everything except that engine.
#[derive(Clone)]
pub struct CompiledConstraint(Arc<dyn Any + Send + Sync>);

/// What [`ModelExecutor::compile`](crate::ModelExecutor::compile) returns.
pub type CompileFuture = BoxFuture<'static, Result<CompiledConstraint, RequestError>>;

impl CompiledConstraint {
    /// Wraps the engine's state.
    pub fn new(state: impl Any + Send + Sync) -> Self {
        Self(Arc::new(state))
    }

    /// A copy of the state, if it is a `T`.
    #[must_use]
    pub fn state<T: Any + Clone>(&self) -> Option<T> {
        self.0.downcast_ref::<T>().cloned()
    }
}

impl fmt::Debug for CompiledConstraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CompiledConstraint").finish_non_exhaustive()
    }
}

/// Equality is identity.
impl PartialEq for CompiledConstraint {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
