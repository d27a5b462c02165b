//! `server.key_file`: API keys in a file of their own, a table for each: `[NAME]`.

use std::collections::BTreeMap;

use hostler_protocol::Priority;
use serde::Serialize;

use crate::{ApiKey, ConfigError, Expiry, Layer, Role, load};

/// An entry as it is written: the hash stands for the key.
#[derive(Serialize)]
struct Stored<'a> {
    key_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Expiry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority_max: Option<Priority>,
}

/// The keys in the text of a key file, which `origin` names in messages.
///
/// # Errors
/// [`ConfigError::Syntax`], [`ConfigError::Invalid`]. They quote no key.
pub fn parse_keys(origin: &str, text: &str) -> Result<BTreeMap<String, ApiKey>, ConfigError> {
    Ok(load(&[Layer::text(origin, text)?.below("server.api_keys")], &[])?.server.api_keys)
}

/// The text of a key file. It contains hashes of the keys, and no key.
#[must_use]
pub fn render_keys(keys: &BTreeMap<String, ApiKey>) -> String {
    let stored = keys.iter().filter_map(|(name, key)| {
        let entry = Stored {
            key_sha256: key.sha256()?.iter().map(|byte| format!("{byte:02x}")).collect(),
            tenant: key.tenant.as_deref(),
            role: key.role,
            expires: key.expires,
            models: key.models.as_deref(),
            priority_max: key.priority_max,
        };
        Some((name.as_str(), entry))
    });
    toml::to_string(&stored.collect::<BTreeMap<_, _>>()).expect("entries consist of plain values")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_read_as_the_same_keys_without_their_secrets() {
        let text = "[shop]\nkey = \"the-shops-key\"\n[night]\nkey = \"the-night-key\"\ntenant = \"shop\"\n\
                    role = \"operator\"\nexpires = \"2030-01-01\"\nmodels = [\"a\"]\npriority_max = \"batch\"\n";
        let keys = parse_keys("keys.toml", text).expect("it is valid");
        let written = render_keys(&keys);
        assert!(!written.contains("-key\""), "{written}");
        let again = parse_keys("keys.toml", &written).expect("it is valid");
        for (name, key) in &keys {
            assert_eq!(again[name].sha256(), key.sha256());
            let other = ApiKey { key: None, key_sha256: again[name].key_sha256.clone(), ..key.clone() };
            assert_eq!(again[name], other);
        }
        assert!(parse_keys("keys.toml", "").expect("it may be empty").is_empty());
    }

    #[test]
    fn an_error_names_the_file_and_quotes_no_key() {
        for text in
            ["[shop]\nkey = \"SECRET", "[shop]\nkey = [\"SECRET\"]", "shop = \"SECRET\"", "[server]\nSECRET = 1"]
        {
            let error = parse_keys("keys.toml", text).expect_err("it is invalid").to_string();
            assert!(error.contains("keys.toml"), "{error}");
            assert!(!error.contains("SECRET") || text.contains("SECRET = 1"), "{error}");
        }
    }
}
