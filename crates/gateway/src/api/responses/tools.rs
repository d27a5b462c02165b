//! `tools` in the form of the Responses API.

use hostler_dialect::Tool;
use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::Value;

use crate::request::{Present, ToolChoice, Tools, no_parameters, read_choice};

/// A function, without its type.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionTool {
    #[expect(dead_code, reason = "the type was read before")]
    r#type: Present,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

/// The tools of a request.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(super) fn tools(
    fields: Option<&[Value]>,
    choice: Option<&Value>,
    parallel: Option<bool>,
) -> Result<Tools, RequestError> {
    let mut tools = Vec::new();
    for (index, field) in fields.unwrap_or_default().iter().enumerate() {
        let kind = field["type"].as_str().unwrap_or_default();
        if kind != "function" {
            let path = format!("tools[{index}].type");
            let message = format!("{path} is {kind:?}; only \"function\" is supported");
            return Err(RequestError::invalid(path, message));
        }
        let tool = FunctionTool::deserialize(field).map_err(|error| {
            let path = format!("tools[{index}]");
            let message = format!("{path}: {error}");
            RequestError::invalid(path, message)
        })?;
        tools.push(Tool {
            name: tool.name,
            description: tool.description,
            parameters: tool.parameters.unwrap_or_else(no_parameters),
            strict: tool.strict.unwrap_or(false),
        });
    }
    let choice: ToolChoice = choice.map(read_choice).transpose()?.unwrap_or_default();
    Tools::new(tools, choice, parallel.unwrap_or(true), |index, field| format!("tools[{index}].{field}"))
}
