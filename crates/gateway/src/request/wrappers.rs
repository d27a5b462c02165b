//! Wrappers for fields of which only the form or the presence matters.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use hostler_protocol::RequestError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A value that is a JSON object in the body. serde would also accept an array, with the fields
/// in the order in which they are declared here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Whether a field is present and not `null`. Its value is discarded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Present(pub(crate) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(deserializer).map(|value| Self(value.is_some()))
    }
}

/// The value of a field that Hostler knows and does not support. It is refused, unless the
/// value requests nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unsupported(Value);

impl Unsupported {
    /// Whether the value requests anything: `null`, `""`, `[]` and `{}` do not, nor do the
    /// values in `inert`, nor does `false`, unless `true` is in `inert`.
    pub(crate) fn is_active(&self, inert: &[&str]) -> bool {
        match &self.0 {
            Value::Null => false,
            Value::Bool(flag) => *flag != inert.contains(&"true"),
            Value::String(text) => !text.is_empty() && !inert.contains(&text.as_str()),
            Value::Array(items) => !items.iter().all(|item| item.as_str().is_some_and(|text| inert.contains(&text))),
            Value::Object(fields) => !fields.is_empty(),
            Value::Number(number) => !inert.contains(&number.to_string().as_str()),
        }
    }

    /// Refuses the request if the field is active.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field, with `hint` on what to do instead.
    pub(crate) fn refuse(&self, field: &'static str, inert: &[&str], hint: &str) -> Result<(), RequestError> {
        if !self.is_active(inert) {
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
    fn only_an_active_value_is_refused() {
        for inert in
            [json!(null), json!(false), json!(""), json!([]), json!({}), json!("none"), json!(1), json!(["none"])]
        {
            assert!(!Unsupported(inert.clone()).is_active(&["none", "1"]), "{inert}");
        }
        for active in [json!(true), json!("auto"), json!([{}]), json!({"a": 1}), json!(2), json!(["none", "audio"])] {
            assert!(Unsupported(active.clone()).is_active(&["none", "1"]), "{active}");
        }
        assert!(!Unsupported(json!(true)).is_active(&["true"]));
        assert!(Unsupported(json!(false)).is_active(&["true"]));
    }
}
