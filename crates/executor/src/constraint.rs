//! A form that an answer must have, as an engine enforces it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use hostler_protocol::RequestError;

/// A constraint that one engine has compiled, at some point of an answer. Only that
/// engine can read it: to everything else it is opaque.
#[derive(Clone)]
pub struct CompiledConstraint(Arc<dyn Any + Send + Sync>);

/// What [`ModelExecutor::compile`](crate::ModelExecutor::compile) returns.
pub type CompileFuture = BoxFuture<'static, Result<CompiledConstraint, RequestError>>;

impl CompiledConstraint {
    /// Wraps an engine's own state.
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

/// Two are equal if they are the same.
impl PartialEq for CompiledConstraint {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
