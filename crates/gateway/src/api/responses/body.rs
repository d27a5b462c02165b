//! The body of `POST /v1/responses`.

use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::context::RequestContext;
use crate::request::{
    GenerationBody, JsonSchemaFormat, Object, Present, ReasoningEffort, ResponseFormat, ResponseFormatType, Tools,
    Unsupported, whole,
};

use super::tools::tools;

/// Most entries of `metadata`, and most bytes of their names and values, as in OpenAI's API.
const METADATA_MAX: usize = 16;
const METADATA_NAME_BYTES_MAX: usize = 64;
const METADATA_VALUE_BYTES_MAX: usize = 512;

/// Every field that the endpoint knows.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResponsesBody {
    pub(super) model: Option<String>,
    pub(super) input: Option<Value>,
    pub(super) instructions: Option<String>,
    pub(super) previous_response_id: Option<String>,
    pub(super) store: Option<bool>,
    stream: Option<bool>,
    stream_options: Option<Object<StreamOptions>>,
    #[serde(deserialize_with = "whole")]
    max_output_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    text: Option<Object<Text>>,
    pub(super) reasoning: Option<Object<Reasoning>>,
    pub(super) tools: Option<Vec<Value>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) metadata: Option<Map<String, Value>>,
    /// Returned with the response.
    pub(super) user: Option<String>,

    // Harmless if ignored: reported in `x-hostler-ignored`.
    include: Present,
    service_tier: Present,
    safety_identifier: Present,
    prompt_cache_key: Present,
    prompt_cache_retention: Present,

    // Not supported: refused, unless the value requests nothing.
    background: Unsupported,
    conversation: Unsupported,
    context_management: Unsupported,
    max_tool_calls: Unsupported,
    prompt: Unsupported,
    top_logprobs: Unsupported,
    truncation: Unsupported,
}

/// `stream_options`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamOptions {
    #[serde(default)]
    include_obfuscation: Present,
}

/// `text`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    format: Option<Object<TextFormat>>,
    #[serde(default)]
    verbosity: Unsupported,
}

/// `text.format`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFormat {
    r#type: ResponseFormatType,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    name: Option<String>,
    /// OpenAI shows it to the model.
    #[serde(default)]
    description: Option<String>,
    /// A schema is always enforced strictly.
    #[serde(default)]
    strict: Option<bool>,
}

/// `reasoning`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reasoning {
    #[serde(default)]
    pub(super) effort: Option<ReasoningEffort>,
    /// Reasoning is returned as it is.
    #[serde(default)]
    summary: Present,
    #[serde(default)]
    generate_summary: Present,
}

impl ResponsesBody {
    /// What to generate, without the conversation.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(super) fn generation(&self, context: &RequestContext) -> Result<GenerationBody, RequestError> {
        self.refuse_unsupported()?;
        self.report_ignored(context);
        self.check_metadata()?;
        if self.stream_options.is_some() && self.stream != Some(true) {
            return Err(RequestError::invalid("stream_options", "stream_options is only allowed with stream: true"));
        }
        let read: Tools = tools(self.tools.as_deref(), self.tool_choice.as_ref(), self.parallel_tool_calls)?;
        Ok(GenerationBody {
            model: self.model.clone(),
            max_tokens: self.max_output_tokens,
            stream: self.stream,
            temperature: self.temperature,
            top_p: self.top_p,
            response_format: self.format().map(response_format).transpose()?.map(Object),
            read_tools: Some(read),
            ..GenerationBody::default()
        })
    }

    /// Whether a stored response is requested, which is the default.
    pub(super) fn wants_store(&self) -> bool {
        self.store.unwrap_or(true)
    }

    pub(super) fn max_output_tokens(&self) -> Option<u32> {
        self.max_output_tokens
    }

    /// `text`, as it is returned.
    pub(super) fn text(&self) -> Value {
        let format = match self.format() {
            Some(TextFormat { r#type: ResponseFormatType::JsonSchema, schema, name, description, strict }) => {
                json!({"type": "json_schema", "name": name, "description": description, "schema": schema, "strict": strict})
            }
            Some(TextFormat { r#type: ResponseFormatType::JsonObject, .. }) => json!({"type": "json_object"}),
            _ => json!({"type": "text"}),
        };
        json!({"format": format})
    }

    fn format(&self) -> Option<&TextFormat> {
        self.text.as_ref().and_then(|text| text.format.as_ref()).map(|format| &**format)
    }

    fn refuse_unsupported(&self) -> Result<(), RequestError> {
        const NOT_SUPPORTED: &str = "this field is not supported";
        self.background.refuse("background", &[], "only false is supported; stream the response instead")?;
        self.conversation.refuse("conversation", &[], "not supported; continue a response by previous_response_id")?;
        self.context_management.refuse("context_management", &[], NOT_SUPPORTED)?;
        self.max_tool_calls.refuse("max_tool_calls", &[], "there are no built-in tools that it could limit")?;
        self.prompt.refuse("prompt", &[], "stored prompts are not supported; send instructions and input")?;
        self.top_logprobs.refuse("top_logprobs", &["0"], "not supported here; POST /v1/chat/completions has it")?;
        self.truncation.refuse("truncation", &["disabled"], "only \"disabled\" is supported")?;
        match &self.text {
            Some(text) => text.verbosity.refuse("text.verbosity", &["medium"], "only \"medium\" is supported"),
            None => Ok(()),
        }
    }

    fn report_ignored(&self, context: &RequestContext) {
        let reasoning =
            |field: fn(&Reasoning) -> bool| self.reasoning.as_ref().is_some_and(|reasoning| field(reasoning));
        let obfuscation = self.stream_options.as_ref().is_some_and(|options| options.include_obfuscation.0);
        let ignored = [
            ("include", self.include.0),
            ("service_tier", self.service_tier.0),
            ("safety_identifier", self.safety_identifier.0),
            ("prompt_cache_key", self.prompt_cache_key.0),
            ("prompt_cache_retention", self.prompt_cache_retention.0),
            ("stream_options.include_obfuscation", obfuscation),
            ("reasoning.summary", reasoning(|reasoning| reasoning.summary.0)),
            ("reasoning.generate_summary", reasoning(|reasoning| reasoning.generate_summary.0)),
            ("text.format.description", self.format().is_some_and(|format| format.description.is_some())),
        ];
        for (field, _) in ignored.into_iter().filter(|&(_, present)| present) {
            context.ignore(field);
        }
    }

    fn check_metadata(&self) -> Result<(), RequestError> {
        let metadata = self.metadata.iter().flatten();
        let is_allowed = |(name, value): (&String, &Value)| {
            let fits = |text: &str| text.len() <= METADATA_VALUE_BYTES_MAX;
            name.len() <= METADATA_NAME_BYTES_MAX && value.as_str().is_some_and(fits)
        };
        if metadata.clone().count() <= METADATA_MAX && metadata.into_iter().all(is_allowed) {
            return Ok(());
        }
        let message = format!(
            "metadata: at most {METADATA_MAX} entries are allowed, with names of up to {METADATA_NAME_BYTES_MAX} \
             bytes and strings of up to {METADATA_VALUE_BYTES_MAX} bytes as values"
        );
        Err(RequestError::invalid("metadata", message))
    }
}

fn response_format(format: &TextFormat) -> Result<ResponseFormat, RequestError> {
    if format.r#type == ResponseFormatType::JsonSchema && format.schema.is_none() {
        let message = "text.format.schema is required, because the type is json_schema";
        return Err(RequestError::invalid("text.format.schema", message));
    }
    let schema = JsonSchemaFormat { schema: format.schema.clone(), ..JsonSchemaFormat::default() };
    Ok(ResponseFormat { r#type: format.r#type, json_schema: Some(Object(schema)) })
}
