//! The body of every generation endpoint.

use std::collections::BTreeMap;

use hostler_protocol::{Priority, SessionId, TokenId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{LogprobsField, PromptField, Stop};
use super::message::Message;
use super::numbers::whole;
use super::tool_fields::ToolField;
use super::tools::Tools;
use super::wrappers::{Object, Present, Unsupported};

/// Whose conventions a generation endpoint follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/responses`
    Responses,
    /// `POST /generate` and `POST /generate_stream`
    Native,
}

/// Every field that a generation endpoint knows. `support` says
/// which of them belong to which endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GenerationBody {
    pub(crate) model: Option<String>,
    pub(crate) messages: Option<Vec<Object<Message>>>,
    pub(crate) prompt: Option<PromptField>,
    #[serde(deserialize_with = "whole")]
    pub(crate) n: Option<u32>,
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<Object<StreamOptions>>,

    #[serde(deserialize_with = "whole")]
    pub(crate) max_tokens: Option<u32>,
    #[serde(deserialize_with = "whole")]
    pub(crate) max_completion_tokens: Option<u32>,
    #[serde(deserialize_with = "whole")]
    pub(crate) min_tokens: Option<u32>,
    pub(crate) stop: Option<Stop>,
    pub(crate) stop_token_ids: Option<Vec<TokenId>>,
    pub(crate) ignore_eos: Option<bool>,

    pub(crate) temperature: Option<f32>,
    pub(crate) top_p: Option<f32>,
    #[serde(deserialize_with = "whole")]
    pub(crate) top_k: Option<i64>,
    pub(crate) min_p: Option<f32>,
    pub(crate) repetition_penalty: Option<f32>,
    pub(crate) presence_penalty: Option<f32>,
    pub(crate) frequency_penalty: Option<f32>,
    pub(crate) logit_bias: Option<BTreeMap<TokenId, f32>>,
    #[serde(deserialize_with = "whole")]
    pub(crate) seed: Option<i64>,

    pub(crate) logprobs: Option<LogprobsField>,
    #[serde(deserialize_with = "whole")]
    pub(crate) top_logprobs: Option<u32>,
    pub(crate) response_format: Option<Object<ResponseFormat>>,
    pub(crate) reasoning_effort: Option<ReasoningEffort>,
    /// Variables of the chat template.
    pub(crate) chat_template_kwargs: Option<Object<Map<String, Value>>>,
    pub(crate) tools: Option<Vec<Object<ToolField>>>,
    pub(crate) tool_choice: Option<Value>,
    pub(crate) parallel_tool_calls: Option<bool>,
    /// Set by endpoints whose tools have another form, and who read the parts of answers.
    #[serde(skip)]
    pub(crate) read_tools: Option<Tools>,
    pub(crate) regex: Option<String>,
    pub(crate) lark: Option<String>,
    pub(crate) priority: Option<Priority>,
    pub(crate) cache_salt: Option<String>,
    /// In seconds.
    pub(crate) timeout: Option<f64>,
    /// Set from a header, never from the body.
    #[serde(skip)]
    pub(crate) session: Option<SessionId>,

    // Harmless if ignored: reported in `x-hostler-ignored`.
    pub(crate) user: Present,
    pub(crate) store: Present,
    pub(crate) metadata: Present,
    pub(crate) service_tier: Present,
    pub(crate) safety_identifier: Present,
    pub(crate) prompt_cache_key: Present,
    pub(crate) prompt_cache_retention: Present,

    // Not supported: refused, unless the value requests nothing.
    pub(crate) functions: Unsupported,
    pub(crate) function_call: Unsupported,
    pub(crate) modalities: Unsupported,
    pub(crate) audio: Unsupported,
    pub(crate) prediction: Unsupported,
    pub(crate) web_search_options: Unsupported,
    pub(crate) verbosity: Unsupported,
    pub(crate) ebnf: Unsupported,
    pub(crate) echo: Unsupported,
    pub(crate) suffix: Unsupported,
    pub(crate) best_of: Unsupported,
    pub(crate) prompt_logprobs: Unsupported,
    pub(crate) skip_special_tokens: Unsupported,
    pub(crate) include_stop_str_in_output: Unsupported,
    pub(crate) add_generation_prompt: Unsupported,
    pub(crate) continue_final_message: Unsupported,
    pub(crate) chat_template: Unsupported,
}

/// `reasoning_effort`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
}

/// `stream_options`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Ends the stream with a chunk that has the usage.
    #[serde(default)]
    pub(crate) include_usage: Option<bool>,
    /// Padding against traffic analysis: harmless if ignored.
    #[serde(default)]
    pub(crate) include_obfuscation: Present,
}

/// `response_format`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResponseFormat {
    pub(crate) r#type: ResponseFormatType,
    #[serde(default)]
    pub(crate) json_schema: Option<Object<JsonSchemaFormat>>,
}

/// `response_format.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResponseFormatType {
    Text,
    JsonObject,
    JsonSchema,
}

/// `response_format.json_schema`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonSchemaFormat {
    #[serde(default)]
    pub(crate) schema: Option<Value>,
    /// A label, which the model does not see here.
    #[serde(default)]
    pub(crate) name: Present,
    /// OpenAI shows it to the model.
    #[serde(default)]
    pub(crate) description: Present,
    /// A schema is always enforced strictly.
    #[serde(default)]
    pub(crate) strict: Present,
}
