//! `[server.api_keys.NAME]`: the clients that may use the API, and what each of them may do.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use hostler_protocol::Priority;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::fields::ordered;
use crate::rules::{NAME_ALLOWED, is_name};

/// Short keys can be guessed; this bound also refuses an empty one.
const API_KEY_BYTES_MIN: usize = 8;

/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// `[server.api_keys.NAME]`: a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = ordered::<Self>)]
pub struct ApiKey {
    /// What the client sends as `Authorization: Bearer KEY` or `x-api-key: KEY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true, "x-allowed" = KEY_ALLOWED))]
    pub key: Option<Secret>,
    /// The SHA-256 of the key, instead of the key itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true, "x-allowed" = SHA256_ALLOWED))]
    pub key_sha256: Option<Secret>,
    /// The tenant that requests are accounted to. Default: the name of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "up to 63 of a-z, 0-9, - and _"))]
    pub tenant: Option<String>,
    /// What the client may do.
    pub role: Role,
    /// From when on the key is refused. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("x-allowed" = EXPIRY_ALLOWED))]
    pub expires: Option<Expiry>,
    /// The models that the client may use; the others do not exist for it. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-allowed" = "a list of served models"))]
    pub models: Option<Vec<String>>,
    /// The most urgent priority that the client may request. Default: interactive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("x-allowed" = "interactive, default, batch"))]
    pub priority_max: Option<Priority>,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Use the models.
    #[default]
    User,
    /// Read metrics and the state of the cluster, and nothing else.
    Observer,
    /// What users and observers may do, and claims and benchmarks.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Observer => "observer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

const KEY_ALLOWED: &str = "8 or more ASCII letters, digits and signs, without spaces";
const SHA256_ALLOWED: &str = "the 64 hexadecimal digits that sha256sum prints";
const EXPIRY_ALLOWED: &str = "a date such as \"2027-01-31\", or a time such as \"2027-01-31T12:00:00Z\", as text";

/// A moment from which a key is refused: a date, at midnight UTC, or a time with its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expiry(DateTime<Utc>);

impl Expiry {
    /// Seconds since 1970; 0 for all times before that.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        u64::try_from(self.0.timestamp()).unwrap_or(0)
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let date = |text: &str| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
        let time = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
        date(&text).or_else(|| time(&text)).map(Self).ok_or_else(|| format!("{text:?} is neither a date nor a time"))
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        expiry.0.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }
}

/// A key or password. It prints and serialises as dots.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl ApiKey {
    /// A key without restrictions.
    #[must_use]
    pub fn new(key: &str, role: Role) -> Self {
        Self { key: Some(key.into()), role, ..Self::default() }
    }

    /// The SHA-256 of the key; `None` if the entry states neither a key nor a valid hash.
    #[must_use]
    pub fn sha256(&self) -> Option<[u8; 32]> {
        if let Some(key) = &self.key {
            return Some(Sha256::digest(key.reveal()).into());
        }
        let digits = self.key_sha256.as_ref().map(Secret::reveal).filter(|digits| is_sha256(digits))?;
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(bytes)
    }

    /// What is wrong with it and its name. Messages do not show keys.
    #[must_use]
    pub fn problems(&self, name: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let tenant = self.tenant.as_deref().unwrap_or(name);
        if !is_name(name) || !is_name(tenant) {
            problems.push(NAME_ALLOWED.to_owned());
        }
        match (&self.key, &self.key_sha256) {
            (Some(key), None) if !is_key(key.reveal()) => {
                problems.push(format!("the key is not allowed; allowed are {KEY_ALLOWED}"));
            }
            (None, Some(_)) if self.sha256().is_none() => {
                problems.push(format!("key_sha256 is not allowed; allowed are {SHA256_ALLOWED}"));
            }
            (Some(_), Some(_)) => problems.push("set either key or key_sha256, not both".to_owned()),
            (None, None) => problems.push("it is missing its secret: set key or key_sha256".to_owned()),
            _ => {}
        }
        if self.models.as_ref().is_some_and(Vec::is_empty) {
            problems.push("models is empty; name the models, or omit it to allow all".to_owned());
        }
        problems
    }
}

fn is_key(text: &str) -> bool {
    text.len() >= API_KEY_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_sha256(text: &str) -> bool {
    text.len() == SHA256_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Secret {
    /// The value itself, to compare it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"…\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_date_or_a_time() {
        let seconds = |text: &str| Expiry::try_from(text.to_owned()).map(Expiry::unix_seconds);
        assert_eq!(seconds("2027-01-31"), Ok(1_801_353_600));
        assert_eq!(seconds("2027-01-31T00:00:01Z"), Ok(1_801_353_601));
        assert_eq!(seconds("2027-01-31T01:00:00+01:00"), Ok(1_801_353_600));
        for text in ["", "soon", "2027-13-01", "2027-01-31T00:00:00", "31.1.2027"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
