//! Whole numbers as OpenAI accepts them: `4` and `4.0` are the same number in JSON.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Numbers above this are not exact as floats, so a float above it is not a whole number.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

/// A type of whole numbers that a field can have.
pub(crate) trait WholeNumber: TryFrom<i128> {
    /// Its name in errors.
    const NAME: &'static str;
}

impl WholeNumber for u32 {
    const NAME: &'static str = "u32";
}

impl WholeNumber for i64 {
    const NAME: &'static str = "i64";
}

/// Deserializes an optional field: `#[serde(deserialize_with = "whole")]`.
///
/// # Errors
/// The value is not a whole number, or out of the type's range.
pub(crate) fn whole<'de, D: Deserializer<'de>, T: WholeNumber>(deserializer: D) -> Result<Option<T>, D::Error> {
    let number = Option::<Whole<T>>::deserialize(deserializer)?;
    Ok(number.map(|Whole(number)| number))
}

struct Whole<T>(T);

impl<'de, T: WholeNumber> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor(PhantomData)).map(Self)
    }
}

struct WholeVisitor<T>(PhantomData<T>);

impl<T: WholeNumber> Visitor<'_> for WholeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::NAME)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::try_from(i128::from(number)).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        T::try_from(i128::from(number)).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number within the range of exact floats")]
    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        if number.fract() != 0.0 || number.abs() > EXACT_MAX {
            return Err(E::invalid_type(Unexpected::Float(number), &self));
        }
        T::try_from(number as i128).map_err(|_| E::invalid_value(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::parse::parse;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "whole")]
        count: Option<u32>,
        #[serde(default, deserialize_with = "whole")]
        seed: Option<i64>,
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let read = |json: &str| parse::<Body>(json.as_bytes()).map(|body| (body.count, body.seed)).ok();
        assert_eq!(read(r#"{"count": 4.0, "seed": -7.0}"#), Some((Some(4), Some(-7))));
        assert_eq!(read(r#"{"count": 4e2, "seed": -7}"#), Some((Some(400), Some(-7))));
        assert_eq!(read(r#"{"count": null}"#), Some((None, None)));
        for wrong in ["4.5", "-1", "-1.0", "4294967296", "1e300", "true", r#""4""#] {
            let error = parse::<Body>(format!(r#"{{"count": {wrong}}}"#).as_bytes()).err().expect(wrong);
            assert_eq!(error.param.as_deref(), Some("count"), "{wrong}: {}", error.message);
        }
    }
}
