//! Fields that have several forms. Each has its own visitor: serde's untagged enums would
//! report a wrong value as "did not match any variant".

use std::fmt;

use hostler_protocol::TokenId;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `stop`: one text or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stop(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Stop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StopVisitor)
    }
}

struct StopVisitor;

impl<'de> Visitor<'de> for StopVisitor {
    type Value = Stop;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Stop, E> {
        Ok(Stop(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Stop, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Stop)
    }
}

/// `logprobs`: a flag in a chat, a number of alternatives in a completion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LogprobsField {
    Flag(bool),
    Alternatives(u32),
}

impl<'de> Deserialize<'de> for LogprobsField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LogprobsVisitor)
    }
}

struct LogprobsVisitor;

impl Visitor<'_> for LogprobsVisitor {
    type Value = LogprobsField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false (chat), or a number of alternatives (completions)")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<LogprobsField, E> {
        Ok(LogprobsField::Flag(flag))
    }

    fn visit_u64<E: Error>(self, alternatives: u64) -> Result<LogprobsField, E> {
        Ok(LogprobsField::Alternatives(u32::try_from(alternatives).unwrap_or(u32::MAX)))
    }
}

/// `prompt`: a text, token ids, or an array of either.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PromptField {
    Text(String),
    Tokens(Vec<TokenId>),
    Texts(Vec<String>),
    TokenLists(Vec<Vec<TokenId>>),
}

impl<'de> Deserialize<'de> for PromptField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PromptVisitor)
    }
}

struct PromptVisitor;

impl<'de> Visitor<'de> for PromptVisitor {
    type Value = PromptField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of token ids, or an array of either")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PromptField, E> {
        Ok(PromptField::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<PromptField, E> {
        Ok(PromptField::Text(text))
    }

    /// The type of the first element determines that of the others.
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<PromptField, A::Error> {
        let Some(first) = sequence.next_element::<Element>()? else {
            return Err(A::Error::invalid_length(0, &"at least one prompt or token"));
        };
        match first {
            Element::Token(first) => collect(first, sequence).map(PromptField::Tokens),
            Element::Text(first) => collect(first, sequence).map(PromptField::Texts),
            Element::Tokens(first) => collect(first, sequence).map(PromptField::TokenLists),
        }
    }
}

fn collect<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(first: T, mut rest: A) -> Result<Vec<T>, A::Error> {
    let mut all = vec![first];
    while let Some(next) = rest.next_element()? {
        all.push(next);
    }
    Ok(all)
}

/// The first element of an array of prompts.
enum Element {
    Token(TokenId),
    Text(String),
    Tokens(Vec<TokenId>),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token id, a string, or an array of token ids")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<Element, E> {
        let in_range = TokenId::try_from(id);
        in_range.map(Element::Token).map_err(|_| E::custom(format_args!("token id {id} is out of range")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Element, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Element::Tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::parse::parse;

    #[test]
    fn a_prompt_has_four_forms() {
        let prompt = |json: &str| parse::<PromptField>(json.as_bytes()).ok();
        assert_eq!(prompt(r#""a""#), Some(PromptField::Text("a".into())));
        assert_eq!(prompt("[1, 2]"), Some(PromptField::Tokens(vec![1, 2])));
        assert_eq!(prompt(r#"["a", "b"]"#), Some(PromptField::Texts(vec!["a".into(), "b".into()])));
        assert_eq!(prompt("[[1], [2, 3]]"), Some(PromptField::TokenLists(vec![vec![1], vec![2, 3]])));
        for wrong in ["[]", "5", "null", r#"[1, "a"]"#, "[-1]", "[1.5]", "[99999999999]", r#"[["a"]]"#, "{}"] {
            assert_eq!(prompt(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_error_names_the_wrong_element() {
        let error = parse::<PromptField>(br#"["a", "b", 3]"#).expect_err("mixed");
        assert_eq!(error.param.as_deref(), Some("[2]"), "{}", error.message);
    }

    #[test]
    fn stop_is_a_string_or_an_array() {
        assert_eq!(parse::<Stop>(br#""x""#).ok(), Some(Stop(vec!["x".into()])));
        assert_eq!(parse::<Stop>(br#"["x", "y"]"#).ok(), Some(Stop(vec!["x".into(), "y".into()])));
        assert!(parse::<Stop>(b"[1]").is_err());
    }
}
