//! `content` of a message: a text, or parts.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::wrappers::Object;

/// A text, or parts of an API's own type.
#[derive(Debug)]
pub(crate) enum Content<P> {
    Text(String),
    Parts(Vec<Object<P>>),
}

/// A part of a content.
pub(crate) trait ContentPart {
    /// What the API calls several of them, in errors.
    const PLURAL: &'static str;
}

impl<'de, P: ContentPart + Deserialize<'de>> Deserialize<'de> for Content<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor(PhantomData))
    }
}

struct ContentVisitor<P>(PhantomData<P>);

impl<'de, P: ContentPart + Deserialize<'de>> Visitor<'de> for ContentVisitor<P> {
    type Value = Content<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or an array of {}", P::PLURAL)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content<P>, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content<P>, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Content<P>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(sequence)).map(Content::Parts)
    }
}
