//! The one way in which the gateway speaks to the router.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use hostler_protocol::{
    GenerationRequest, ModelDescription, ModelId, RequestError, RequestId, SchedulerId, TokenEvent, TokenId,
};
use hostler_scheduler::{SchedulerSnapshot, TokenizeInput};

/// Speaks to the router actor. Clones speak to the same one.
#[derive(Clone)]
pub struct Router {}

/// A generation that a scheduler has admitted.
pub struct RoutedGeneration {
    /// Which scheduler has it: `x-hostler-scheduler`.
    pub scheduler: SchedulerId,
    /// The loaded model that answers.
    pub description: Arc<ModelDescription>,
    /// Length of the prompt, in tokens.
    pub prompt_tokens: u32,
    /// What it produces; see [`TokenEvent`] for the order. Dropping it cancels
    /// the request.
    pub events: Pin<Box<dyn Stream<Item = TokenEvent> + Send>>,
}

/// A model that at least one scheduler holds, or is loading.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedModel {
    /// The name that clients write.
    pub model: ModelId,
    /// The loaded model; `None` while every scheduler of it is still loading.
    pub description: Option<Arc<ModelDescription>>,
    /// Whether a scheduler takes requests for it now.
    pub ready: bool,
}
