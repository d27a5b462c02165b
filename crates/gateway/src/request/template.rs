//! Variables of the model's chat template.

use hostler_protocol::RequestError;
use serde_json::{Map, Value};

use super::body::ReasoningEffort;

/// Those that Hostler sets from other fields.
const RESERVED: [&str; 3] = ["messages", "tools", "add_generation_prompt"];

/// The variables as JSON text: those of `chat_template_kwargs`, and those that `reasoning_effort`
/// stands for, as far as the former does not have them. `None` if there are none.
///
/// # Errors
/// `InvalidRequest` for a variable that is set from another field.
pub(crate) fn template_variables(
    effort: Option<ReasoningEffort>,
    given: Option<&Map<String, Value>>,
) -> Result<Option<String>, RequestError> {
    if let Some(reserved) = RESERVED.iter().find(|name| given.is_some_and(|given| given.contains_key(**name))) {
        return Err(RequestError::invalid(
            "chat_template_kwargs",
            format!("chat_template_kwargs has {reserved}, which other fields of the request determine"),
        ));
    }
    let mut variables = match effort {
        None => Map::new(),
        // Templates use one or the other name.
        Some(ReasoningEffort::None) => {
            ["enable_thinking", "thinking"].map(|name| (name.to_owned(), false.into())).into_iter().collect()
        }
        Some(effort) => {
            Map::from_iter([("reasoning_effort".to_owned(), serde_json::to_value(effort).unwrap_or_default())])
        }
    };
    variables.extend(given.cloned().unwrap_or_default());
    Ok((!variables.is_empty()).then(|| Value::Object(variables).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables(effort: Option<ReasoningEffort>, given: &Value) -> Option<Value> {
        let text = template_variables(effort, given.as_object()).expect("no reserved name")?;
        Some(serde_json::from_str(&text).expect("it is JSON"))
    }

    #[test]
    fn the_effort_becomes_variables_unless_they_are_given() {
        let nothing = json!({});
        assert_eq!(variables(None, &nothing), None);
        assert_eq!(variables(Some(ReasoningEffort::Low), &nothing), Some(json!({"reasoning_effort": "low"})));
        assert_eq!(
            variables(Some(ReasoningEffort::None), &json!({"thinking": true, "x": [1]})),
            Some(json!({"enable_thinking": false, "thinking": true, "x": [1]}))
        );
    }

    #[test]
    fn a_variable_that_another_field_sets_is_refused() {
        let error = template_variables(None, json!({"messages": []}).as_object()).expect_err("it is reserved");
        assert_eq!(error.param.as_deref(), Some("chat_template_kwargs"));
    }
}
