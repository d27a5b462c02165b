//! Fields that Hostler knows and does not honour: refused, unless the value asks
//! for nothing.

use hostler_protocol::RequestError;
use serde::Deserialize;
use serde_json::Value;

/// The value of such a field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unsupported(Value);

impl Unsupported {
    /// Whether the value asks for something: `null`, `""`, `[]` and `{}` do not,
    /// nor does what is in `inert`, nor `false`, unless `true` is in there.
    pub(crate) fn asks(&self, inert: &[&str]) -> bool {
        match &self.0 {
            Value::Null => false,
            Value::Bool(flag) => *flag != inert.contains(&"true"),
            Value::String(text) => !text.is_empty() && !inert.contains(&text.as_str()),
            Value::Array(items) => !items.iter().all(|item| item.as_str().is_some_and(|text| inert.contains(&text))),
            Value::Object(fields) => !fields.is_empty(),
            Value::Number(number) => !inert.contains(&number.to_string().as_str()),
        }
    }

    /// Whether the value is this text.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.0.as_str() == Some(text)
    }

    /// Refuses the request if the field asks for something.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field and, with `hint`, the way out.
    pub(crate) fn refuse(&self, field: &'static str, inert: &[&str], hint: &str) -> Result<(), RequestError> {
        if !self.asks(inert) {
            return Ok(());
        }
        Err(RequestError::invalid(field, format!("{field}: {hint}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_value_that_asks_for_something_is_refused() {
        for inert in
            [json!(null), json!(false), json!(""), json!([]), json!({}), json!("none"), json!(1), json!(["none"])]
        {
            assert!(!Unsupported(inert.clone()).asks(&["none", "1"]), "{inert}");
        }
        for asking in [json!(true), json!("auto"), json!([{}]), json!({"a": 1}), json!(2), json!(["none", "audio"])] {
            assert!(Unsupported(asking.clone()).asks(&["none", "1"]), "{asking}");
        }
        assert!(!Unsupported(json!(true)).asks(&["true"]));
        assert!(Unsupported(json!(false)).asks(&["true"]));
    }
}
