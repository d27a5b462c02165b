//! The tools of a request, and which of them its answer may call.

use std::collections::BTreeSet;
use std::sync::Arc;

use hostler_dialect::Tool;
use hostler_protocol::{CallRules, RequestError};
use serde_json::{Value, json};

use crate::http::limits::{TOOL_NAME_BYTES_MAX, TOOLS_MAX};

/// Which tools an answer may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    /// None.
    None,
    /// Any, or none.
    #[default]
    Auto,
    /// At least one.
    Required,
    /// One of these, at least one if `required`.
    Only {
        /// Their names.
        names: Vec<String>,
        /// Whether it must be a call.
        required: bool,
    },
}

/// The tools of a request, validated. Every API converts its own form to this.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tools {
    /// All tools of the request.
    tools: Arc<[Tool]>,
    choice: ToolChoice,
    parallel: bool,
}

impl Default for Tools {
    fn default() -> Self {
        Self { tools: Arc::default(), choice: ToolChoice::Auto, parallel: true }
    }
}

impl Tools {
    /// Validates a request's tools. `path` names the tool of an index, and its field, in the API's
    /// form; the choice is in `tool_choice` in all of them.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field.
    pub(crate) fn new(
        tools: Vec<Tool>,
        choice: ToolChoice,
        parallel: bool,
        path: impl Fn(usize, &str) -> String,
    ) -> Result<Self, RequestError> {
        if tools.len() > TOOLS_MAX {
            let message = format!("tools has {} entries; at most {TOOLS_MAX} are allowed", tools.len());
            return Err(RequestError::invalid("tools", message));
        }
        let mut names = BTreeSet::new();
        for (index, tool) in tools.iter().enumerate() {
            let invalid = |field: &str, what: String| {
                let path = path(index, field);
                let message = format!("{path} {what}");
                RequestError::invalid(path, message)
            };
            if !is_tool_name(&tool.name) {
                let what = format!(
                    "is {:?}; a name has 1 to {TOOL_NAME_BYTES_MAX} characters, which are letters, digits, _ and -",
                    tool.name
                );
                return Err(invalid("name", what));
            }
            if !names.insert(tool.name.as_str()) {
                return Err(invalid("name", format!("is {:?}, which another tool has too", tool.name)));
            }
            if !is_object_schema(&tool.parameters) {
                return Err(invalid("parameters", "must be the JSON schema of an object".to_owned()));
            }
        }
        match &choice {
            ToolChoice::Required if tools.is_empty() => {
                return Err(wrong_choice("it requires a call, but there are no tools"));
            }
            ToolChoice::Only { names: chosen, .. } => {
                if chosen.is_empty() {
                    return Err(wrong_choice("it names no tool"));
                }
                if let Some(unknown) = chosen.iter().find(|name| !names.contains(name.as_str())) {
                    return Err(wrong_choice(&format!("{unknown:?} is not one of the tools")));
                }
            }
            ToolChoice::None | ToolChoice::Auto | ToolChoice::Required => {}
        }
        Ok(Self { tools: tools.into(), choice, parallel })
    }

    /// The tools that the answer may call, for its parser; empty if it may call none.
    pub(crate) fn callable(&self) -> Arc<[Tool]> {
        match self.choice {
            ToolChoice::None => Arc::default(),
            _ => Arc::clone(&self.tools),
        }
    }

    /// The tools for the chat template. A model that must not call any does not see them.
    pub(crate) fn for_template(&self) -> Option<String> {
        let tools = self.callable();
        (!tools.is_empty()).then(|| Value::from_iter(tools.iter().map(Tool::to_template)).to_string())
    }

    /// What the scheduler enforces.
    pub(crate) fn rules(&self) -> Option<CallRules> {
        let tools: Vec<&Tool> = match &self.choice {
            ToolChoice::None => Vec::new(),
            ToolChoice::Auto | ToolChoice::Required => self.tools.iter().collect(),
            ToolChoice::Only { names, .. } => self.tools.iter().filter(|tool| names.contains(&tool.name)).collect(),
        };
        let required = matches!(self.choice, ToolChoice::Required | ToolChoice::Only { required: true, .. });
        (!tools.is_empty()).then(|| CallRules {
            tools: json!(tools).to_string(),
            required,
            parallel: self.parallel,
            is_strict: tools.iter().any(|tool| tool.strict),
        })
    }
}

fn wrong_choice(what: &str) -> RequestError {
    RequestError::invalid("tool_choice", format!("tool_choice: {what}"))
}

fn is_tool_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=TOOL_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(is_allowed)
}

/// Whether a schema is one of an object. One that does not say its type can be.
fn is_object_schema(schema: &Value) -> bool {
    schema.is_object() && schema.get("type").is_none_or(|kind| kind == "object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        let parameters = json!({"type": "object", "properties": {}});
        Tool { name: name.to_owned(), description: None, parameters, strict: false }
    }

    fn path(index: usize, field: &str) -> String {
        format!("tools[{index}].{field}")
    }

    fn read(tools: Vec<Tool>, choice: ToolChoice) -> Result<Tools, RequestError> {
        Tools::new(tools, choice, true, path)
    }

    #[test]
    fn wrong_tools_are_refused_by_name() {
        let only = |name: &str| ToolChoice::Only { names: vec![name.to_owned()], required: true };
        let list = Tool { parameters: json!([]), ..tool("b") };
        let text = Tool { parameters: json!({"type": "string"}), ..tool("b") };
        let cases = [
            (vec![tool("a b")], ToolChoice::Auto, "tools[0].name"),
            (vec![tool("")], ToolChoice::Auto, "tools[0].name"),
            (vec![tool(&"a".repeat(65))], ToolChoice::Auto, "tools[0].name"),
            (vec![tool("a"), tool("a")], ToolChoice::Auto, "tools[1].name"),
            (vec![tool("a"), list], ToolChoice::Auto, "tools[1].parameters"),
            (vec![text], ToolChoice::Auto, "tools[0].parameters"),
            ((0..129).map(|index| tool(&format!("t{index}"))).collect(), ToolChoice::Auto, "tools"),
            (Vec::new(), ToolChoice::Required, "tool_choice"),
            (vec![tool("a")], only("b"), "tool_choice"),
            (vec![tool("a")], ToolChoice::Only { names: Vec::new(), required: false }, "tool_choice"),
        ];
        for (tools, choice, param) in cases {
            let error = read(tools, choice).expect_err(param);
            assert_eq!(error.param.as_deref(), Some(param), "{}", error.message);
            assert!(error.message.contains(param), "{}", error.message);
        }
    }

    #[test]
    fn the_choice_decides_what_is_rendered_and_forced() {
        let named = ToolChoice::Only { names: vec!["b".to_owned()], required: true };
        let cases = [(ToolChoice::Auto, 2, false), (ToolChoice::Required, 2, true), (named, 1, true)];
        for (choice, count, required) in cases {
            let tools = read(vec![tool("a"), tool("b")], choice).expect("they are valid");
            let rules = tools.rules().expect("it may call");
            let forced: Vec<Tool> = serde_json::from_str(&rules.tools).expect("they are tools");
            assert_eq!((forced.len(), rules.required, tools.callable().len()), (count, required, 2));
            assert!(tools.for_template().is_some_and(|text| text.contains("\"a\"") && text.contains("\"b\"")));
        }
        let none = read(vec![tool("a")], ToolChoice::None).expect("it is valid");
        assert_eq!((none.rules(), none.for_template(), none.callable().len()), (None, None, 0));
        assert_eq!(Tools::default().rules(), None);
    }
}
