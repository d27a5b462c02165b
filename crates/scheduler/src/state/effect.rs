//! What the state wants done. The actor does it, in order.

use hostler_protocol::RequestError;

use super::Ticket;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Hand a queued request to the engine.
    Start(Ticket),
    /// End a request that the engine has not seen.
    Refuse(Ticket, RequestError),
    /// Tell a running request's client of this error at once, and ask the engine
    /// to stop the sequence. Its slot is free when the engine says that it ended.
    Stop(Ticket, RequestError),
    /// Tell whoever waits for it that nothing is left.
    Empty,
}
