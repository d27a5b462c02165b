//! A format of tool calls, or `auto`.

use hostler_protocol::ToolFormat;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

const AUTO: &str = "auto";

/// Every value that is allowed.
pub(super) fn names() -> Vec<&'static str> {
    std::iter::once(AUTO).chain(ToolFormat::ALL.iter().map(|format| format.as_str())).collect()
}

pub(super) fn serialize<S: Serializer>(format: &Option<ToolFormat>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.map_or(AUTO, ToolFormat::as_str))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ToolFormat>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name == AUTO {
        return Ok(None);
    }
    let allowed = |_| D::Error::custom(format!("{name:?} is no tool format; allowed are {}", names().join(", ")));
    name.parse().map(Some).map_err(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, serde::Serialize)]
    struct Key {
        #[serde(with = "super")]
        tool_format: Option<ToolFormat>,
    }

    #[test]
    fn formats_are_named_and_auto_is_none() {
        for (text, tool_format) in [("auto", None), ("qwen3_coder", Some(ToolFormat::Qwen3Coder))] {
            let text = format!("tool_format = \"{text}\"\n");
            let key = Key { tool_format };
            assert_eq!(toml::to_string(&key), Ok(text.clone()));
            assert_eq!(toml::from_str(&text), Ok(key));
        }
        let error = toml::from_str::<Key>("tool_format = \"xml\"").expect_err("there is no such format");
        assert!(error.message().contains("\"xml\"") && error.message().contains("auto, hermes"), "{error}");
    }
}
