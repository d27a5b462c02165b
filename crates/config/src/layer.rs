//! Sources of values: one layer for each source, so that messages can name what set a value.

use std::path::Path;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::ConfigError;

/// Environment variables of this form are configuration: `HOSTLER_SERVER__ADDRESS`
/// is `server.address`. Every key is in a section, so variables without a double
/// underscore are not configuration.
const PREFIX: &str = "HOSTLER_";
const SEPARATOR: &str = "__";

/// Values from one source.
#[derive(Clone, Debug)]
pub struct Layer {
    origin: String,
    values: Dict,
    /// A variable with the prefix, but without a section. It has no values.
    stray: Option<String>,
}

impl Layer {
    /// A TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Syntax`].
    pub fn file(path: &Path) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: origin.clone(), source })?;
        Self::text(&origin, &text)
    }

    /// TOML text; `origin` names it in messages.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`].
    pub fn text(origin: &str, text: &str) -> Result<Self, ConfigError> {
        match toml::from_str(text) {
            Ok(values) => Ok(Self { origin: origin.to_owned(), values, stray: None }),
            Err(error) => Err(ConfigError::Syntax { path: origin.to_owned(), reason: reason(text, &error) }),
        }
    }

    /// The environment, one layer for each variable. A value that is valid TOML (`8`,
    /// `true`, `["a"]`) is read as TOML, any other as text. A variable without a double
    /// underscore that resembles a key is a problem, which [`load`](crate::load) reports.
    pub fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        let mut layers: Vec<_> =
            variables.into_iter().filter_map(|(name, text)| Self::variable(&name, &text)).collect();
        // The environment has no order; messages need a stable one.
        layers.sort_by(|a, b| a.origin.cmp(&b.origin));
        layers
    }

    fn variable(name: &str, text: &str) -> Option<Self> {
        let path = name.strip_prefix(PREFIX)?;
        if !path.contains(SEPARATOR) {
            return Some(Self { origin: name.to_owned(), values: Dict::new(), stray: Some(path.to_owned()) });
        }
        let key = path.split(SEPARATOR).collect::<Vec<_>>().join(".").to_ascii_lowercase();
        Some(Self::value(&format!("environment variable {name}"), &key, parse(text)))
    }

    /// The same values, under a dotted key.
    pub(crate) fn below(self, key: &str) -> Self {
        let values = self.values;
        Self::value(&self.origin, key, values)
    }

    /// One value, under a dotted key.
    pub fn value(origin: &str, key: &str, value: impl Into<Value>) -> Self {
        let values = match figment::util::nest(key, value.into()) {
            Value::Dict(_, values) => values,
            _ => Dict::new(),
        };
        Self { origin: origin.to_owned(), values, stray: None }
    }

    /// What follows the prefix in the name of a variable that has no section.
    pub(crate) fn stray(&self) -> Option<&str> {
        self.stray.as_deref()
    }

    /// Removes a key, or the value that holds it if that is not a table. Whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let mut table = &mut self.values;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() || !matches!(table.get(part), Some(Value::Dict(..))) {
                return table.remove(part).is_some();
            }
            let Some(Value::Dict(_, inner)) = table.get_mut(part) else { return false };
            table = inner;
        }
        false
    }
}

/// Where and what: without the line itself, which may contain a key.
fn reason(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("line {}, column {column}: ", before.matches('\n').count() + 1)
    });
    place.unwrap_or_default() + error.message()
}

fn parse(text: &str) -> Value {
    #[derive(serde::Deserialize)]
    struct Line {
        value: Value,
    }
    match toml::from_str::<Line>(&format!("value = {text}")) {
        Ok(line) => line.value,
        Err(_) => Value::from(text),
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
