//! `tools` and `tool_choice` in OpenAI's chat form.

use hostler_dialect::Tool;
use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tools::{ToolChoice, Tools};
use super::wrappers::Object;

/// An entry of `tools`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolField {
    r#type: String,
    #[serde(default)]
    function: Option<Object<FunctionField>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionField {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

/// The parameters of a function that declares none.
pub(crate) fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}})
}

/// The tools of a chat request.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(crate) fn chat_tools(
    fields: Option<&[Object<ToolField>]>,
    choice: Option<&Value>,
    parallel: Option<bool>,
) -> Result<Tools, RequestError> {
    let mut tools = Vec::new();
    for (index, tool) in fields.unwrap_or_default().iter().enumerate() {
        let refused = |field: &str, what: String| {
            let path = format!("tools[{index}].{field}");
            let message = format!("{path} {what}");
            RequestError::invalid(path, message)
        };
        if tool.r#type != "function" {
            return Err(refused("type", format!("is {:?}; only \"function\" is supported", tool.r#type)));
        }
        let Some(Object(function)) = &tool.function else {
            return Err(refused("function", "is required".to_owned()));
        };
        tools.push(Tool {
            name: function.name.clone(),
            description: function.description.clone(),
            parameters: function.parameters.clone().unwrap_or_else(no_parameters),
            strict: function.strict.unwrap_or(false),
        });
    }
    let choice = choice.map(read_choice).transpose()?.unwrap_or_default();
    Tools::new(tools, choice, parallel.unwrap_or(true), |index, field| format!("tools[{index}].function.{field}"))
}

/// `tool_choice`. It says nothing about an empty list of tools unless it requires a call.
///
/// # Errors
/// `InvalidRequest` if it has none of the forms.
pub(crate) fn read_choice(field: &Value) -> Result<ToolChoice, RequestError> {
    let name = |tool: &Value| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()).map(str::to_owned);
    let read = match (field.as_str(), field["type"].as_str()) {
        (Some("none"), _) => Some(ToolChoice::None),
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (Some("required"), _) => Some(ToolChoice::Required),
        (_, Some("function")) => name(field).map(|name| ToolChoice::Only { names: vec![name], required: true }),
        (_, Some("allowed_tools")) => {
            // Chat wraps the choice in a field of the type's name.
            let allowed = field.get("allowed_tools").unwrap_or(field);
            let required = match allowed["mode"].as_str() {
                Some("required") => Some(true),
                Some("auto") | None => Some(false),
                Some(_) => None,
            };
            let names = allowed["tools"].as_array().and_then(|tools| tools.iter().map(name).collect());
            required.zip(names).map(|(required, names)| ToolChoice::Only { names, required })
        }
        _ if field.is_null() => Some(ToolChoice::Auto),
        _ => None,
    };
    read.ok_or_else(|| {
        let allowed = "\"none\", \"auto\", \"required\", {\"type\": \"function\", \"function\": {\"name\": …}}, or \
                       {\"type\": \"allowed_tools\", \"allowed_tools\": {\"mode\": …, \"tools\": […]}}";
        RequestError::invalid("tool_choice", format!("tool_choice is not one of {allowed}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tools_field: Value, choice: &Value) -> Result<Tools, RequestError> {
        let fields: Vec<Object<ToolField>> = serde_json::from_value(tools_field).expect("it has the form");
        chat_tools(Some(&fields), Some(choice), None)
    }

    fn function(name: &str) -> Value {
        json!({"type": "function", "function": {"name": name}})
    }

    #[test]
    fn every_form_of_choice_is_read() {
        let required = |choice: Value| {
            let rules = read(json!([function("f"), function("g")]), &choice).expect("it is valid").rules();
            rules.map(|rules| (rules.required, rules.tools.contains("\"g\"")))
        };
        assert_eq!(required(json!("none")), None);
        assert_eq!(required(json!(null)), Some((false, true)));
        assert_eq!(required(json!("required")), Some((true, true)));
        assert_eq!(required(function("f")), Some((true, false)));
        assert_eq!(required(json!({"type": "function", "name": "f"})), Some((true, false)));
        let allowed = json!({"mode": "auto", "tools": [function("f")]});
        assert_eq!(required(json!({"type": "allowed_tools", "allowed_tools": allowed})), Some((false, false)));
        for wrong in [json!("any"), json!({"type": "function"}), json!(1), json!({"type": "allowed_tools"})] {
            let error = read(json!([function("f")]), &wrong).expect_err("it is no choice");
            assert_eq!(error.param.as_deref(), Some("tool_choice"), "{wrong}");
        }
    }

    #[test]
    fn only_functions_are_tools() {
        for (tool, param) in [
            (json!({"type": "custom", "function": {"name": "f"}}), "tools[0].type"),
            (json!({"type": "function"}), "tools[0].function"),
            (function("a b"), "tools[0].function.name"),
            (json!({"type": "function", "function": {"name": "f", "parameters": []}}), "tools[0].function.parameters"),
        ] {
            let error = read(json!([tool]), &json!("auto")).expect_err(param);
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
        }
    }
}
