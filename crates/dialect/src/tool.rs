//! Tools that a model may call.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The name.
    pub name: String,
    /// What it does, for the model.
    pub description: Option<String>,
    /// The JSON schema of its arguments, which are an object.
    pub parameters: Value,
    /// The schema is enforced exactly: a schema that cannot be is an error.
    pub strict: bool,
}

impl Tool {
    /// The tool as chat templates expect it, which is OpenAI's shape.
    #[must_use]
    pub fn to_template(&self) -> Value {
        let mut function = json!({"name": self.name});
        if let Some(description) = &self.description {
            function["description"] = json!(description);
        }
        function["parameters"] = self.parameters.clone();
        json!({"type": "function", "function": function})
    }

    /// The schema of an argument, if the tool's schema has one.
    pub(crate) fn property(&self, key: &str) -> Option<&Value> {
        self.parameters.get("properties")?.get(key)
    }
}

/// Whether a schema allows only strings.
pub(crate) fn is_string(schema: &Value) -> bool {
    match (schema.get("type"), schema.get("enum"), schema.get("const")) {
        (Some(Value::String(kind)), ..) => kind == "string",
        (_, Some(Value::Array(values)), _) => values.iter().all(Value::is_string),
        (.., Some(value)) => value.is_string(),
        _ => false,
    }
}

/// Whether a schema that allows strings, and perhaps other types, allows this value. A schema
/// without strings, or without types, does not decide.
pub(crate) fn allows(schema: &Value, value: &Value) -> bool {
    let is_allowed = |types: &[&str]| !types.contains(&"string") || types.iter().any(|kind| is_of(value, kind));
    types(schema).is_none_or(|types| is_allowed(&types))
}

/// The types that a schema allows, if it names them.
fn types(schema: &Value) -> Option<Vec<&str>> {
    match (schema.get("type"), schema.get("anyOf").or_else(|| schema.get("oneOf"))) {
        (Some(Value::String(kind)), _) => Some(vec![kind]),
        (Some(Value::Array(kinds)), _) => kinds.iter().map(Value::as_str).collect(),
        (None, Some(Value::Array(branches))) => {
            let types: Option<Vec<_>> = branches.iter().map(types).collect();
            types.map(|types| types.concat())
        }
        _ => None,
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || kind == "integer" && !number.is_f64(),
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_json_only_where_the_schema_allows_its_type() {
        let optional = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
        assert!(allows(&optional, &json!(null)) && !allows(&optional, &json!(42)) && allows(&optional, &json!("a")));
        let several = json!({"type": ["string", "integer"]});
        assert!(allows(&several, &json!(42)) && !allows(&several, &json!(4.5)) && !allows(&several, &json!([1])));
        for schema in [json!({}), json!({"type": "integer"}), json!({"oneOf": [{"type": "string"}, {"$ref": "#/x"}]})] {
            assert!(allows(&schema, &json!({"a": true})), "{schema}");
        }
    }
}
