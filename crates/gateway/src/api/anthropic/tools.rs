//! `tools` and `tool_choice` in Anthropic's form.

use hostler_dialect::Tool;
use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::Value;

use crate::http::context::RequestContext;
use crate::request::{Object, Present, ToolChoice, Tools};

/// An entry of `tools`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolParam {
    #[serde(default)]
    r#type: Option<String>,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    input_schema: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
    /// Prefixes are always cached.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted, because there is nothing to do")]
    cache_control: Present,
    /// Arguments are always streamed as they are generated.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted, because there is nothing to do")]
    eager_input_streaming: Present,
    #[serde(default)]
    input_examples: Present,
}

/// `tool_choice`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolChoiceParam {
    r#type: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

/// The tools of a request.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(super) fn tools(
    params: Vec<Object<ToolParam>>,
    choice: Option<&ToolChoiceParam>,
    context: &RequestContext,
) -> Result<Tools, RequestError> {
    let mut tools = Vec::with_capacity(params.len());
    for (index, Object(tool)) in params.into_iter().enumerate() {
        let refused = |field: &str, what: String| {
            let path = format!("tools[{index}].{field}");
            let message = format!("{path}: {what}");
            RequestError::invalid(path, message)
        };
        if let Some(kind) = tool.r#type.filter(|kind| kind != "custom") {
            return Err(refused("type", format!("{kind:?} is not supported; only \"custom\" is")));
        }
        if tool.input_examples.0 {
            context.ignore("tools.input_examples");
        }
        let Some(parameters) = tool.input_schema else {
            return Err(refused("input_schema", "this field is required".to_owned()));
        };
        tools.push(Tool {
            name: tool.name,
            description: tool.description,
            parameters,
            strict: tool.strict.unwrap_or(false),
        });
    }
    let parallel = !choice.and_then(|choice| choice.disable_parallel_tool_use).unwrap_or(false);
    let choice = choice.map(read_choice).transpose()?.unwrap_or_default();
    Tools::new(tools, choice, parallel, |index, field| {
        format!("tools[{index}].{}", if field == "parameters" { "input_schema" } else { field })
    })
}

fn read_choice(choice: &ToolChoiceParam) -> Result<ToolChoice, RequestError> {
    match (choice.r#type.as_str(), &choice.name) {
        ("auto", _) => Ok(ToolChoice::Auto),
        ("any", _) => Ok(ToolChoice::Required),
        ("none", _) => Ok(ToolChoice::None),
        ("tool", Some(name)) => Ok(ToolChoice::Only { names: vec![name.clone()], required: true }),
        ("tool", None) => Err(RequestError::invalid("tool_choice.name", "tool_choice.name: this field is required")),
        (other, _) => {
            let message = format!("tool_choice.type: {other:?} is not one of auto, any, tool and none");
            Err(RequestError::invalid("tool_choice.type", message))
        }
    }
}
