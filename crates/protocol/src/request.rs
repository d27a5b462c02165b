//! A generation request, as the gateway sends it to a scheduler.

use serde::{Deserialize, Serialize};

use crate::{
    CacheScope, Deadline, FencingToken, ModelId, Prompt, RequestId, SamplingParams, SessionId, StopConditions,
    TenantId, TokenId, TraceContext,
};

/// Everything that a scheduler needs to know about one request.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationRequest {
    /// Identifies it in logs and for cancellation.
    pub id: RequestId,
    /// The requested model.
    pub model: ModelId,
    /// The input.
    pub prompt: Prompt,
    /// Tokens of the answer that another scheduler has already generated. The
    /// generation continues after them, and only new tokens are sent.
    pub continuation: Vec<TokenId>,
    /// How the next token is chosen.
    pub sampling: SamplingParams,
    /// When the generation ends.
    pub stop: StopConditions,
    /// The format that the answer must have; with `calls`, that of an answer that calls no tool.
    pub constraint: Option<Constraint>,
    /// The tools that the answer may call. The scheduler writes the grammar, because it depends on
    /// the model's format and on the rendered prompt.
    pub calls: Option<CallRules>,
    /// Return log probabilities with this many alternatives per position.
    pub top_logprobs: Option<u32>,
    /// The priority class.
    pub priority: Priority,
    /// The tenant that it is charged to.
    pub tenant: TenantId,
    /// Whose cached prefixes it may use, and who may use its own.
    pub cache_scope: CacheScope,
    /// The session; the router may send all requests of a session to one scheduler.
    pub session: Option<SessionId>,
    /// When the answer is no longer wanted.
    pub deadline: Option<Deadline>,
    /// The token of the claim that it belongs to: a claimed scheduler accepts no others.
    pub claim: Option<FencingToken>,
    /// The parent span, if the request is traced.
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
            calls: None,
            top_logprobs: None,
            priority: Priority::default(),
            tenant: TenantId::default(),
            cache_scope: CacheScope::default(),
            session: None,
            deadline: None,
            claim: None,
            trace: None,
        }
    }
}

/// The priority class of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// A user is waiting for the answer.
    Interactive,
    /// The class of requests that name none.
    #[default]
    Default,
    /// Background work that runs when there is capacity.
    Batch,
}

impl Priority {
    /// Every class, most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Default, Self::Batch];

    /// The name in requests and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Default => "default",
            Self::Batch => "batch",
        }
    }
}

/// Which tools an answer may call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallRules {
    /// The tools: a JSON array of objects with `name`, `description`, `parameters` and `strict`.
    pub tools: String,
    /// The answer must be a call.
    pub required: bool,
    /// It may have several calls.
    pub parallel: bool,
    /// The schema of a tool must be enforced exactly.
    pub is_strict: bool,
}

/// A format that the answer must have, enforced at each token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON value that is valid under a JSON schema (given as text).
    JsonSchema(String),
    /// A string that a regular expression matches entirely.
    Regex(String),
    /// A sentence of a Lark grammar in llguidance's dialect.
    Lark(String),
}

impl Constraint {
    /// The field of a request that it comes from.
    #[must_use]
    pub const fn param(&self) -> &'static str {
        match self {
            Self::JsonSchema(_) => "response_format",
            Self::Regex(_) => "regex",
            Self::Lark(_) => "lark",
        }
    }
}
