//! How a model writes tool calls and reasoning.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::TokenId;

/// Defines an enum of formats with their names, which are those of serde.
macro_rules! formats {
    ($(#[$doc:meta])* $type:ident, $what:literal: $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $type {
            $($(#[$variant_doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $type {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in the configuration and in documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownFormat;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|format| format.as_str() == name).ok_or_else(|| UnknownFormat {
                    what: $what,
                    name: name.to_owned(),
                    allowed: Self::ALL.iter().map(|format| format.as_str()).collect(),
                })
            }
        }
    };
}

formats! {
    /// A format of tool calls in a model's output.
    ToolFormat, "tool format":
    /// JSON in `<tool_call>` tags: Hermes, Qwen 2.5 and 3, Granite 4.
    Hermes = "hermes",
    /// A JSON object that is the whole answer, with `parameters`: Llama 3.
    Llama3Json = "llama3_json",
    /// `[TOOL_CALLS]name[ARGS]{…}`: Mistral's tokenizers since version 11.
    Mistral = "mistral",
    /// `[TOOL_CALLS]` with a JSON array: Mistral's tokenizers before version 11.
    MistralArray = "mistral_array",
    /// Messages to `functions.name` on the commentary channel: gpt-oss.
    Harmony = "harmony",
    /// `<function=name>` and `<parameter=key>` in `<tool_call>` tags: Qwen3-Coder, Qwen 3.5.
    Qwen3Coder = "qwen3_coder",
    /// JSON in a code block between special tokens: DeepSeek V3 and R1.
    DeepSeekV3 = "deepseek_v3",
    /// A name and JSON between special tokens: DeepSeek V3.1.
    DeepSeekV31 = "deepseek_v31",
    /// DSML tags, in `function_calls`: DeepSeek V3.2.
    DeepSeekV32 = "deepseek_v32",
    /// DSML tags, in `tool_calls`: DeepSeek V4.
    DeepSeekV4 = "deepseek_v4",
    /// `<arg_key>` and `<arg_value>` in `<tool_call>` tags: GLM 4.5 and later.
    Glm = "glm",
    /// `functions.name:0` and JSON between special tokens: Kimi K2.
    KimiK2 = "kimi_k2",
    /// `functools` with a JSON array: Phi-4 mini.
    Phi4 = "phi4",
    /// `<|tool_call|>` with a JSON array: Granite 3.
    Granite3 = "granite3",
    /// A JSON array in `<tool_calls>` tags: Apriel.
    Apriel = "apriel",
    /// JSON objects, one a line, in `<tool_calls>` tags: MiniMax M1.
    MiniMaxM1 = "minimax_m1",
    /// `<invoke>` and `<parameter>` tags in `<minimax:tool_call>`: MiniMax M2.
    MiniMaxM2 = "minimax_m2",
    /// A JSON array in `<TOOLCALL>` tags: Nemotron Nano 2.
    Nemotron = "nemotron",
    /// A JSON array of actions between special tokens: Command R7B and later.
    Cohere = "cohere",
    /// `<function=name>` and `<parameter=key>` in `<seed:tool_call>` tags: Seed-OSS.
    SeedOss = "seed_oss",
    /// A name and JSON between special tokens: Solar Open.
    Solar = "solar",
    /// `<function name="…">` and `<param name="…">` tags: MiniCPM 5.
    MiniCpm5 = "minicpm5",
    /// JSON in `<function=name>` tags: Functionary 3.1.
    Functionary = "functionary",
    /// `<|function_call|>` with a JSON object: GigaChat 3.1.
    GigaChat = "gigachat",
    /// A JSON array of objects with the name as their key: Apertus.
    Apertus = "apertus",
}

formats! {
    /// A format of reasoning in a model's output.
    ReasoningFormat, "reasoning format":
    /// `<think>` tags.
    ThinkTags = "think_tags",
    /// `<think>` tags, and `<response>` tags around the answer: Granite 3.
    Granite3 = "granite3",
    /// The analysis channel: gpt-oss.
    Harmony = "harmony",
    /// `[THINK]` tags: Mistral.
    Mistral = "mistral",
    /// `<seed:think>` tags: Seed-OSS.
    SeedOss = "seed_oss",
    /// Special tokens around the thinking and around the response: Cohere.
    Cohere = "cohere",
    /// The thought channel: Gemma 4.
    Gemma4 = "gemma4",
    /// Text up to `[BEGIN FINAL RESPONSE]`: Apriel.
    Apriel = "apriel",
    /// `<mm:think>` tags: MiniMax M3.
    MiniMaxM3 = "minimax_m3",
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is no {what}; allowed are {}", .allowed.join(", "))]
pub struct UnknownFormat {
    what: &'static str,
    name: String,
    allowed: Vec<&'static str>,
}

/// How a model writes tool calls and reasoning. The default is plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dialect {
    /// The format of tool calls, if the model's template has one.
    pub tools: Option<ToolFormat>,
    /// The chat template renders the tools that it is given.
    pub template_renders_tools: bool,
    /// The format of reasoning, if the model reasons.
    pub reasoning: Option<ReasoningFormat>,
    /// The template ends a prompt with the tag that opens the reasoning, at least where
    /// thinking is enabled.
    pub opens_reasoning: bool,
    /// The tags that are single special tokens of the model's vocabulary, which a grammar
    /// cannot match as text.
    pub special_tokens: BTreeMap<String, TokenId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_parse_their_names() {
        for &format in ToolFormat::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        for &format in ReasoningFormat::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
    }

    #[test]
    fn an_unknown_name_is_reported_with_the_allowed_ones() {
        let error = "xml".parse::<ReasoningFormat>().map_err(|error| error.to_string());
        let allowed = "think_tags, granite3, harmony, mistral, seed_oss, cohere, gemma4, apriel, minimax_m3";
        assert_eq!(error, Err(format!("\"xml\" is no reasoning format; allowed are {allowed}")));
    }
}
