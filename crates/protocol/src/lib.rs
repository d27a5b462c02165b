//! Domain types of Hostler: requests, token events, errors, identifiers.
//!
//! The same types are used between actors, processes and machines, so this crate does
//! not depend on tokio, actix or HTTP. All of it is plain data; the only logic is
//! validation.

mod cache;
mod claim;
mod deadline;
mod dialect;
mod embedding;
mod error;
mod event;
mod ids;
mod model;
mod node;
mod prompt;
mod request;
mod sampling;
mod stop;
mod trace;

pub use cache::CacheScope;
pub use claim::{ClaimDrain, ClaimRequest, FencingToken};
pub use deadline::Deadline;
pub use dialect::{Dialect, ReasoningFormat, ToolFormat, UnknownFormat};
pub use embedding::{EmbeddingInput, Embeddings};
pub use error::{ErrorCode, ErrorReason, RequestError, Retry};
pub use event::{Finish, FinishReason, Logprob, Started, Timings, Token, TokenEvent, Usage};
pub use ids::{ModelId, NodeId, RequestId, SchedulerId, SessionId, TenantId, TokenId};
pub use model::{Batching, Capabilities, Driving, Engine, ModelDescription, Prefill};
pub use node::{NodeState, NodeStatus};
pub use prompt::{ChatMessage, Conversation, Prompt, Role, ToolCall};
pub use request::{CallRules, Constraint, GenerationRequest, Priority};
pub use sampling::SamplingParams;
pub use stop::{ReasoningSpan, StopConditions};
pub use trace::{InvalidTraceContext, TraceContext};
