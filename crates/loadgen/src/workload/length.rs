//! Lengths in tokens: fixed, or a range.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Longest prompt or answer, in tokens. Longer than any model's context, and small enough
/// that a typing mistake does not exhaust memory.
const LENGTH_MAX: u32 = 4_000_000;

/// A number of tokens, drawn uniformly from a range; written `50` or `10-200`. In JSON a
/// single number may also be a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Length {
    min: u32,
    max: u32,
}

/// An invalid length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a length in tokens: write a number such as 50, or a range such as 10-200, within 1 to {LENGTH_MAX}"
)]
pub struct LengthError(String);

impl Length {
    /// Every length is `tokens`.
    ///
    /// # Errors
    /// If `tokens` is 0 or above 4,000,000.
    pub fn fixed(tokens: u32) -> Result<Self, LengthError> {
        Self::between(tokens, tokens)
    }

    /// Uniformly from `min` to `max`, both included.
    ///
    /// # Errors
    /// If `min` is 0 or above `max`, or `max` is above 4,000,000.
    pub fn between(min: u32, max: u32) -> Result<Self, LengthError> {
        let length = Self { min, max };
        if min == 0 || min > max || max > LENGTH_MAX {
            return Err(LengthError(length.to_string()));
        }
        Ok(length)
    }

    /// A length chosen by this program: the caller guarantees the bounds.
    #[must_use]
    pub const fn constant(tokens: u32) -> Self {
        Self { min: tokens, max: tokens }
    }

    /// The longest length that can be drawn.
    #[must_use]
    pub fn max(self) -> u32 {
        self.max
    }

    /// Draws a length.
    pub(crate) fn draw(self, random: &mut impl Rng) -> u32 {
        random.random_range(self.min..=self.max)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

impl FromStr for Length {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        let number = |part: &str| part.trim().parse::<u32>().map_err(|_| LengthError(text.to_owned()));
        Self::between(number(min)?, number(max)?)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrRange)
    }
}

struct NumberOrRange;

impl Visitor<'_> for NumberOrRange {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tokens such as 50, or a range such as \"10-200\"")
    }

    fn visit_u64<E: Error>(self, tokens: u64) -> Result<Length, E> {
        tokens.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
        text.parse().map_err(E::custom)
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints_and_refuses_anything_else() {
        for text in ["1", "50", "10-200"] {
            assert_eq!(text.parse::<Length>().map(|length| length.to_string()), Ok(text.to_owned()));
        }
        for text in ["0", "", "-5", "200-10", "0-5", "ten", "4000001", "1-2-3"] {
            assert!(text.parse::<Length>().is_err(), "{text}");
        }
    }
}
