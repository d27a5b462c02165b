//! What the derived JSON Schema lacks: the order of a struct's fields, and durations.

use schemars::Schema;
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The keyword of a table's schema that lists its keys in the order of declaration. The
/// handbook keeps this order; a JSON object does not.
pub(crate) const ORDER: &str = "x-order";

/// Adds [`ORDER`] to the schema of a struct.
pub(crate) fn ordered<T: DeserializeOwned>(schema: &mut Schema) {
    let mut names: &[&str] = &[];
    // The error only ends the visit: serde has passed the names by then.
    let _ = T::deserialize(FieldNames(&mut names));
    schema.insert(ORDER.to_owned(), names.into());
}

/// Takes the field names that a derived `Deserialize` asks its deserializer for.
struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("there is no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A duration that is written in whole seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// A duration that is written in whole milliseconds.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The longest duration of most keys, in seconds.
pub(crate) const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The longest duration of keys in milliseconds.
pub(crate) const HOUR_MS: u64 = 60 * 60 * 1000;
