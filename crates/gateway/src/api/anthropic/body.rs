//! The body of `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use hostler_protocol::{ChatMessage, RequestError};
use serde::Deserialize;
use serde_json::Value;

use super::content::Content;
use super::conversation::{MessageParam, conversation};
use crate::http::context::RequestContext;
use crate::request::{
    GenerationBody, JsonSchemaFormat, Object, Present, ResponseFormat, ResponseFormatType, Stop, Unsupported, whole,
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
    thinking: Option<Object<Thinking>>,
    output_config: Option<Object<OutputConfig>>,
    /// Prefixes are always cached.
    cache_control: Present,

    // Harmless if ignored: reported in `x-hostler-ignored`.
    metadata: Present,
    service_tier: Present,

    // Not supported: refused, unless the value requests nothing.
    tools: Unsupported,
    tool_choice: Unsupported,
    container: Unsupported,
    mcp_servers: Unsupported,
}

/// `thinking`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields of other types are parsed so that the error is about the type")]
struct Thinking {
    r#type: String,
    #[serde(default)]
    budget_tokens: Present,
    #[serde(default)]
    display: Present,
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
    ) -> Result<(GenerationBody, Vec<ChatMessage>), RequestError> {
        if self.max_tokens.is_none() {
            return Err(RequestError::invalid("max_tokens", "max_tokens: this field is required"));
        }
        let (body, conversation) = self.into_conversation(context)?;
        let format = body.output_config.and_then(|config| config.0.format);
        let generation = GenerationBody {
            model: body.model,
            max_tokens: body.max_tokens,
            stop: body.stop_sequences.map(Stop),
            stream: body.stream,
            temperature: body.temperature,
            top_p: body.top_p,
            top_k: body.top_k,
            response_format: format.map(|format| Object(format.0.into())),
            ..GenerationBody::default()
        };
        Ok((generation, conversation))
    }

    /// Checks the fields, and separates the conversation from the rest.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(super) fn into_conversation(
        mut self,
        context: &RequestContext,
    ) -> Result<(Self, Vec<ChatMessage>), RequestError> {
        self.refuse_unsupported()?;
        let effort = self.output_config.as_ref().is_some_and(|config| config.effort.0);
        let ignored =
            [("metadata", self.metadata.0), ("service_tier", self.service_tier.0), ("output_config.effort", effort)];
        for (field, _) in ignored.into_iter().filter(|&(_, present)| present) {
            context.ignore(field);
        }
        let messages = self.messages.take();
        let messages = messages.ok_or_else(|| RequestError::invalid("messages", "messages: this field is required"))?;
        let conversation = conversation(self.system.take(), messages, context)?;
        Ok((self, conversation))
    }

    fn refuse_unsupported(&self) -> Result<(), RequestError> {
        const NO_TOOLS: &str = "tools are not supported on this endpoint";
        const NOT_SUPPORTED: &str = "this field is not supported";
        self.tools.refuse("tools", &[], NO_TOOLS)?;
        self.tool_choice.refuse("tool_choice", &[], NO_TOOLS)?;
        self.container.refuse("container", &[], NOT_SUPPORTED)?;
        self.mcp_servers.refuse("mcp_servers", &[], NOT_SUPPORTED)?;
        match &self.thinking {
            Some(thinking) if thinking.r#type != "disabled" => {
                let message = format!("thinking.type: {:?} is not supported; only \"disabled\" is", thinking.r#type);
                Err(RequestError::invalid("thinking.type", message))
            }
            _ => Ok(()),
        }
    }
}

impl From<OutputFormat> for ResponseFormat {
    fn from(format: OutputFormat) -> Self {
        let OutputFormat { r#type: OutputFormatType::JsonSchema, schema } = format;
        let schema = JsonSchemaFormat { schema: Some(schema), ..JsonSchemaFormat::default() };
        Self { r#type: ResponseFormatType::JsonSchema, json_schema: Some(Object(schema)) }
    }
}
