//! The engine's responses to one sequence, received to their end.

use std::sync::Arc;

use mistralrs::core::Response;
use tokio::sync::mpsc::Receiver;

use crate::processor::Running;

/// What the engine said of a sequence besides its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Nothing.
    None,
    /// The request is not what it should be.
    Refused(String),
    /// The engine failed.
    Failed(String),
}

/// A sequence that the engine is through with.
pub(super) struct Drained {
    pub(super) running: Arc<Running>,
    pub(super) complaint: Complaint,
}

/// Receives until the engine has dropped its end, which it does with the sequence.
pub(super) async fn drain(running: Arc<Running>, mut responses: Receiver<Response>) -> Drained {
    let mut complaint = Complaint::None;
    while let Some(response) = responses.recv().await {
        if complaint == Complaint::None {
            complaint = read(response);
        }
    }
    Drained { running, complaint }
}

fn read(response: Response) -> Complaint {
    match response {
        Response::ValidationError(error) => Complaint::Refused(error.to_string()),
        Response::InternalError(error) => Complaint::Failed(error.to_string()),
        Response::ModelError(message, _) | Response::CompletionModelError(message, _) => Complaint::Failed(message),
        _ => Complaint::None,
    }
}
