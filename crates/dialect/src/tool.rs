//! Tools that a model may call.

use serde_json::{Value, json};

/// A tool that a model may call.
#[derive(Clone, Debug, PartialEq)]
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
