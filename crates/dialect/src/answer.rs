//! The grammar of an answer from what a request says about it.

use hostler_protocol::{CallRules, Dialect};
use serde_json::Value;

use crate::grammar::{Choice, Forced, grammar};
use crate::tool::Tool;

/// The grammar of an answer that may call tools and whose text has a schema (JSON text), if either
/// restricts it. A schema restricts the answer only, not the reasoning before it.
///
/// # Errors
/// What is not JSON, or no list of tools.
pub fn answer_grammar(
    dialect: &Dialect,
    calls: Option<&CallRules>,
    schema: Option<&str>,
    starts_in_reasoning: bool,
) -> Result<Option<String>, serde_json::Error> {
    let tools: Vec<Tool> = calls.map(|calls| serde_json::from_str(&calls.tools)).transpose()?.unwrap_or_default();
    let schema: Option<Value> = schema.map(serde_json::from_str).transpose()?;
    let is_required = calls.is_some_and(|calls| calls.required);
    Ok(grammar(&Forced {
        dialect,
        tools: &tools,
        choice: if is_required { Choice::Required } else { Choice::Auto },
        schema: schema.as_ref(),
        parallel: calls.is_some_and(|calls| calls.parallel),
        starts_in_reasoning,
    }))
}

#[cfg(test)]
mod tests {
    use hostler_protocol::ReasoningFormat;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_without_tools_and_schema_has_no_grammar() {
        assert_eq!(answer_grammar(&Dialect::default(), None, None, false).expect("nothing is parsed"), None);
        let dialect = Dialect { reasoning: Some(ReasoningFormat::ThinkTags), ..Dialect::default() };
        let schema = answer_grammar(&dialect, None, Some(r#"{"type":"object"}"#), false).expect("it is JSON");
        assert!(schema.is_some_and(|lark| lark.contains("%json") && lark.contains("</think>")));
        let tool = json!([{"name": "f", "description": null, "parameters": {"type": "object"}, "strict": false}]);
        let calls = CallRules { tools: tool.to_string(), required: true, parallel: false, is_strict: false };
        let lark = answer_grammar(&dialect, Some(&calls), None, true).expect("they are tools");
        assert!(lark.is_some_and(|lark| lark.contains("<tool_call>")));
        let calls = CallRules { tools: "{}".to_owned(), ..calls };
        assert!(answer_grammar(&dialect, Some(&calls), None, true).is_err());
    }
}
