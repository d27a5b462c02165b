//! The body of `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use hostler_protocol::{Conversation, RequestError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::content::Content;
use super::conversation::{MessageParam, conversation};
use super::tools::{ToolChoiceParam, ToolParam, tools};
use crate::http::context::RequestContext;
use crate::request::{
    GenerationBody, JsonSchemaFormat, Object, Present, ResponseFormat, ResponseFormatType, Stop, Tools, Unsupported,
    whole,
};

/// Every field that these endpoints know.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MessagesBody {
    pub(super) model: Option<String>,
    messages: Option<Vec<Object<MessageParam>>>,
    system: Option<Content>,
    #[serde(deserialize_with = "whole")]
    max_tokens: Option<u32>,
    stop_sequences: Option<Vec<String>>,
    stream: Option<bool>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    #[serde(deserialize_with = "whole")]
    top_k: Option<i64>,
    tools: Option<Vec<Object<ToolParam>>>,
    tool_choice: Option<Object<ToolChoiceParam>>,
    thinking: Option<Object<Thinking>>,
    output_config: Option<Object<OutputConfig>>,
    /// Prefixes are always cached.
    cache_control: Present,

    // Harmless if ignored: reported in `x-hostler-ignored`.
    metadata: Present,
    service_tier: Present,

    // Not supported: refused, unless the value requests nothing.
    container: Unsupported,
    mcp_servers: Unsupported,
}

/// `thinking`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thinking {
    r#type: ThinkingType,
    #[serde(default)]
    budget_tokens: Present,
    #[serde(default)]
    display: Present,
}

/// `thinking.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ThinkingType {
    Enabled,
    Adaptive,
    Disabled,
}

impl ThinkingType {
    /// The variables of the chat template; templates use one or the other name.
    fn variables(self) -> String {
        let is_enabled = self != Self::Disabled;
        json!({"enable_thinking": is_enabled, "thinking": is_enabled}).to_string()
    }
}

/// `output_config`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputConfig {
    #[serde(default)]
    effort: Present,
    #[serde(default)]
    format: Option<Object<OutputFormat>>,
}

/// `output_config.format`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputFormat {
    r#type: OutputFormatType,
    schema: Value,
}

/// `output_config.format.type`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutputFormatType {
    JsonSchema,
}

impl MessagesBody {
    /// What to generate, and the conversation that it answers.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(super) fn into_generation(
        self,
        context: &RequestContext,
    ) -> Result<(GenerationBody, Conversation), RequestError> {
        if self.max_tokens.is_none() {
            return Err(RequestError::invalid("max_tokens", "max_tokens: this field is required"));
        }
        let (body, tools, conversation) = self.into_conversation(context)?;
        let format = body.output_config.and_then(|config| config.0.format);
        let generation = GenerationBody {
            model: body.model,
            max_tokens: body.max_tokens,
            stop: body.stop_sequences.map(Stop),
            stream: body.stream,
            temperature: body.temperature,
            top_p: body.top_p,
            top_k: body.top_k,
            read_tools: Some(tools),
            response_format: format.map(|format| Object(format.0.into())),
            ..GenerationBody::default()
        };
        Ok((generation, conversation))
    }

    /// Checks the fields, and separates the tools and the conversation from the rest.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(super) fn into_conversation(
        mut self,
        context: &RequestContext,
    ) -> Result<(Self, Tools, Conversation), RequestError> {
        self.refuse_unsupported()?;
        self.report_ignored(context);
        let messages = self.messages.take();
        let messages = messages.ok_or_else(|| RequestError::invalid("messages", "messages: this field is required"))?;
        let messages = conversation(self.system.take(), messages, context)?;
        let tools = tools(self.tools.take().unwrap_or_default(), self.tool_choice.as_deref(), context)?;
        let variables = self.thinking.as_ref().map(|thinking| thinking.r#type.variables());
        let conversation = Conversation { messages, tools: tools.for_template(), variables };
        Ok((self, tools, conversation))
    }

    fn report_ignored(&self, context: &RequestContext) {
        let thinking =
            |field: fn(&Thinking) -> Present| self.thinking.as_deref().is_some_and(|thinking| field(thinking).0);
        let ignored = [
            ("metadata", self.metadata.0),
            ("service_tier", self.service_tier.0),
            ("output_config.effort", self.output_config.as_ref().is_some_and(|config| config.effort.0)),
            ("thinking.budget_tokens", thinking(|thinking| thinking.budget_tokens)),
            ("thinking.display", thinking(|thinking| thinking.display)),
        ];
        for (field, _) in ignored.into_iter().filter(|&(_, present)| present) {
            context.ignore(field);
        }
    }

    fn refuse_unsupported(&self) -> Result<(), RequestError> {
        const NOT_SUPPORTED: &str = "this field is not supported";
        self.container.refuse("container", &[], NOT_SUPPORTED)?;
        self.mcp_servers.refuse("mcp_servers", &[], NOT_SUPPORTED)
    }
}

impl From<OutputFormat> for ResponseFormat {
    fn from(format: OutputFormat) -> Self {
        let OutputFormat { r#type: OutputFormatType::JsonSchema, schema } = format;
        let schema = JsonSchemaFormat { schema: Some(schema), ..JsonSchemaFormat::default() };
        Self { r#type: ResponseFormatType::JsonSchema, json_schema: Some(Object(schema)) }
    }
}
