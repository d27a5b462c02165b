//! A generation request, as it travels from the edge to a scheduler.

use serde::{Deserialize, Serialize};

use crate::{
    Deadline, FencingToken, ModelId, Prompt, RequestId, SamplingParams, SessionId, StopConditions, TenantId, TokenId,
    TraceContext,
};

/// Everything that a scheduler needs to know of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationRequest {
    /// Its identity, for logs and for cancelling it.
    pub id: RequestId,
    /// The model that shall answer.
    pub model: ModelId,
    /// What the model shall continue.
    pub prompt: Prompt,
    /// Tokens of the answer that another scheduler has generated already. The
    /// generation goes on after them, and only what is new is sent.
    pub continuation: Vec<TokenId>,
    /// How the next token is chosen.
    pub sampling: SamplingParams,
    /// When the generation ends.
    pub stop: StopConditions,
    /// The form that the answer must have.
    pub constraint: Option<Constraint>,
    /// Report log probabilities, with so many alternatives a position.
    pub top_logprobs: Option<u32>,
    /// How urgent it is.
    pub priority: Priority,
    /// Who it is accounted to.
    pub tenant: TenantId,
    /// What it belongs to: the router may send all of a session to one scheduler.
    pub session: Option<SessionId>,
    /// When nobody waits for it any more.
    pub deadline: Option<Deadline>,
    /// The claim under which it comes: a claimed scheduler takes nothing else.
    pub claim: Option<FencingToken>,
    /// The span that it belongs to, where it is traced.
    pub trace: Option<TraceContext>,
}

impl GenerationRequest {
    /// A request with OpenAI's defaults: temperature 1, no stop sequences.
    #[must_use]
    pub fn new(model: ModelId, prompt: Prompt) -> Self {
        Self {
            id: RequestId::new(),
            model,
            prompt,
            continuation: Vec::new(),
            sampling: SamplingParams::default(),
            stop: StopConditions::default(),
            constraint: None,
            top_logprobs: None,
            priority: Priority::default(),
            tenant: TenantId::default(),
            session: None,
            deadline: None,
            claim: None,
            trace: None,
        }
    }
}

/// How urgent a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// A person is waiting for the first word.
    Interactive,
    /// Nothing was said.
    #[default]
    Default,
    /// Overnight work: it runs when there is room.
    Batch,
}

impl Priority {
    /// Every class, most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Default, Self::Batch];

    /// As requests and metric labels spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Default => "default",
            Self::Batch => "batch",
        }
    }
}

/// A form that the answer must have, enforced token by token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON value that a JSON schema (given as text) admits.
    JsonSchema(String),
    /// A string that a regular expression matches as a whole.
    Regex(String),
    /// A sentence of a Lark grammar, in llguidance's dialect.
    Lark(String),
}
