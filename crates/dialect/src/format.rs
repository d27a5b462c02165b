//! The formats, as tables.
//!
//! Whitespace between the parts of a call is not listed: parsers skip it.

use hostler_protocol::{ReasoningFormat, ToolFormat};

/// How a format writes calls.
#[derive(Debug)]
pub(crate) enum Shape {
    /// JSON objects that contain the tool's name.
    Objects(Objects),
    /// A name, then the arguments in JSON.
    Named(Named),
    /// A tag for the call and for each argument.
    Tagged(Tagged),
    /// gpt-oss: a call is a message to the tool.
    Harmony,
}

impl Shape {
    /// The tag that begins calls; harmony has none.
    pub(crate) fn open(&self) -> Option<&'static str> {
        match self {
            Self::Objects(format) => Some(format.open),
            Self::Named(format) => Some(format.open),
            Self::Tagged(format) => Some(format.open),
            Self::Harmony => None,
        }
    }
}

/// JSON objects that contain the tool's name.
#[derive(Debug)]
pub(crate) struct Objects {
    /// Begins one or more calls.
    pub(crate) open: &'static str,
    /// Ends them; without it, they end with the object or the array.
    pub(crate) close: Option<&'static str>,
    /// How several calls are written.
    pub(crate) list: List,
    /// The key of the name; empty if the name is itself the key of the arguments.
    pub(crate) name: &'static str,
    /// The keys of the arguments; models are given the first.
    pub(crate) arguments: &'static [&'static str],
    /// An answer that begins with an object may be a call, without `open`.
    pub(crate) bare: bool,
}

/// How several objects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Each with its tags.
    Each,
    /// One a line.
    Lines,
    /// In an array.
    Array,
}

/// A name, then the arguments in JSON.
#[derive(Debug)]
pub(crate) struct Named {
    /// Begins one or more calls.
    pub(crate) open: &'static str,
    /// Begins each call; if it is absent, `open` does.
    pub(crate) begin: Option<&'static str>,
    /// The name is written between these. An id may precede a tag, and a number follows a colon.
    pub(crate) name: (&'static str, &'static str),
    /// Between the name and the arguments.
    pub(crate) separator: &'static str,
    /// Follows the arguments in some models, and is skipped.
    pub(crate) fence: Option<&'static str>,
    /// Ends each call.
    pub(crate) end: Option<&'static str>,
    /// Ends the calls.
    pub(crate) close: Option<&'static str>,
}

/// A tag for the call and for each argument.
#[derive(Debug)]
pub(crate) struct Tagged {
    /// Begins one or more calls.
    pub(crate) open: &'static str,
    /// Begins each call; if it is absent, `open` does.
    pub(crate) begin: Option<&'static str>,
    /// Ends the name; if it is absent, the next tag does.
    pub(crate) name_end: Option<&'static str>,
    /// Begins the key of an argument.
    pub(crate) key: &'static str,
    /// Ends the key, and may tell the kind of the value.
    pub(crate) key_ends: &'static [(&'static str, Kind)],
    /// Begins the value, if more than the end of the key does.
    pub(crate) value: Option<&'static str>,
    /// Ends the value.
    pub(crate) value_end: &'static str,
    /// Values have a line of their own: the line breaks around them are not part of them.
    pub(crate) lines: bool,
    /// Ends each call.
    pub(crate) end: &'static str,
    /// Ends the calls.
    pub(crate) close: Option<&'static str>,
}

/// How the value of an argument is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As text if the tool's schema wants a string, and in JSON otherwise.
    BySchema,
    /// As text.
    Text,
    /// In JSON.
    Json,
}

/// The tags around reasoning.
#[derive(Debug)]
pub(crate) struct Tags {
    pub(crate) open: &'static str,
    pub(crate) close: &'static str,
    /// Tags around the answer, which are dropped.
    pub(crate) answer: &'static [&'static str],
}

/// Objects with `name` and `arguments`.
const OBJECTS: Objects = Objects {
    open: "<tool_call>",
    close: Some("</tool_call>"),
    list: List::Each,
    name: "name",
    arguments: &["arguments", "parameters"],
    bare: false,
};

const DSML: Tagged = Tagged {
    open: "<｜DSML｜function_calls>",
    begin: Some("<｜DSML｜invoke name=\""),
    name_end: Some("\">"),
    key: "<｜DSML｜parameter name=\"",
    key_ends: &[("\" string=\"true\">", Kind::Text), ("\" string=\"false\">", Kind::Json)],
    value: None,
    value_end: "</｜DSML｜parameter>",
    lines: false,
    end: "</｜DSML｜invoke>",
    close: Some("</｜DSML｜function_calls>"),
};

const FUNCTION_TAGS: Tagged = Tagged {
    open: "<tool_call>",
    begin: Some("<function="),
    name_end: Some(">"),
    key: "<parameter=",
    key_ends: &[(">", Kind::BySchema)],
    value: None,
    value_end: "</parameter>",
    lines: true,
    end: "</function>",
    close: Some("</tool_call>"),
};

const DEEPSEEK: Named = Named {
    open: "<｜tool▁calls▁begin｜>",
    begin: Some("<｜tool▁call▁begin｜>"),
    name: ("", ""),
    separator: "<｜tool▁sep｜>",
    fence: None,
    end: Some("<｜tool▁call▁end｜>"),
    close: Some("<｜tool▁calls▁end｜>"),
};

/// How a format writes calls.
pub(crate) const fn shape(format: ToolFormat) -> &'static Shape {
    match format {
        ToolFormat::Hermes => &Shape::Objects(OBJECTS),
        ToolFormat::Llama3Json => &Shape::Objects(Objects {
            open: "<|python_tag|>",
            close: None,
            arguments: &["parameters", "arguments"],
            bare: true,
            ..OBJECTS
        }),
        ToolFormat::MistralArray => {
            &Shape::Objects(Objects { open: "[TOOL_CALLS]", close: None, list: List::Array, ..OBJECTS })
        }
        ToolFormat::Mistral => &Shape::Named(Named {
            open: "[TOOL_CALLS]",
            begin: None,
            name: ("", "[CALL_ID]"),
            separator: "[ARGS]",
            fence: None,
            end: None,
            close: None,
        }),
        ToolFormat::Harmony => &Shape::Harmony,
        ToolFormat::Qwen3Coder => &Shape::Tagged(FUNCTION_TAGS),
        ToolFormat::SeedOss => &Shape::Tagged(Tagged {
            open: "<seed:tool_call>",
            lines: false,
            close: Some("</seed:tool_call>"),
            ..FUNCTION_TAGS
        }),
        ToolFormat::DeepSeekV3 => &Shape::Named(Named {
            begin: Some("<｜tool▁call▁begin｜>function<｜tool▁sep｜>"),
            separator: "\n```json\n",
            fence: Some("```"),
            ..DEEPSEEK
        }),
        ToolFormat::DeepSeekV31 => &Shape::Named(DEEPSEEK),
        ToolFormat::DeepSeekV32 => &Shape::Tagged(DSML),
        ToolFormat::DeepSeekV4 => {
            &Shape::Tagged(Tagged { open: "<｜DSML｜tool_calls>", close: Some("</｜DSML｜tool_calls>"), ..DSML })
        }
        ToolFormat::Glm => &Shape::Tagged(Tagged {
            open: "<tool_call>",
            begin: None,
            name_end: None,
            key: "<arg_key>",
            key_ends: &[("</arg_key>", Kind::BySchema)],
            value: Some("<arg_value>"),
            value_end: "</arg_value>",
            lines: false,
            end: "</tool_call>",
            close: None,
        }),
        ToolFormat::KimiK2 => &Shape::Named(Named {
            open: "<|tool_calls_section_begin|>",
            begin: Some("<|tool_call_begin|>"),
            name: ("functions.", ":"),
            separator: "<|tool_call_argument_begin|>",
            fence: None,
            end: Some("<|tool_call_end|>"),
            close: Some("<|tool_calls_section_end|>"),
        }),
        ToolFormat::Phi4 => &Shape::Objects(Objects { open: "functools", close: None, list: List::Array, ..OBJECTS }),
        ToolFormat::Granite3 => {
            &Shape::Objects(Objects { open: "<|tool_call|>", close: None, list: List::Array, ..OBJECTS })
        }
        ToolFormat::Apriel => &Shape::Objects(Objects {
            open: "<tool_calls>",
            close: Some("</tool_calls>"),
            list: List::Array,
            ..OBJECTS
        }),
        ToolFormat::MiniMaxM1 => &Shape::Objects(Objects {
            open: "<tool_calls>",
            close: Some("</tool_calls>"),
            list: List::Lines,
            ..OBJECTS
        }),
        ToolFormat::MiniMaxM2 => &Shape::Tagged(Tagged {
            open: "<minimax:tool_call>",
            begin: Some("<invoke name=\""),
            name_end: Some("\">"),
            key: "<parameter name=\"",
            key_ends: &[("\">", Kind::BySchema)],
            value: None,
            value_end: "</parameter>",
            lines: false,
            end: "</invoke>",
            close: Some("</minimax:tool_call>"),
        }),
        ToolFormat::Nemotron => {
            &Shape::Objects(Objects { open: "<TOOLCALL>", close: Some("</TOOLCALL>"), list: List::Array, ..OBJECTS })
        }
        ToolFormat::Cohere => &Shape::Objects(Objects {
            open: "<|START_ACTION|>",
            close: Some("<|END_ACTION|>"),
            list: List::Array,
            name: "tool_name",
            arguments: &["parameters"],
            bare: false,
        }),
        ToolFormat::Solar => &Shape::Named(Named {
            open: "<|tool_calls|>",
            begin: Some("<|tool_call:begin|>"),
            name: ("<|tool_call:name|>", ""),
            separator: "<|tool_call:args|>",
            fence: None,
            end: Some("<|tool_call:end|>"),
            close: Some("<|calls|>"),
        }),
        ToolFormat::MiniCpm5 => &Shape::Tagged(Tagged {
            open: "<function name=\"",
            begin: None,
            name_end: Some("\">"),
            key: "<param name=\"",
            key_ends: &[("\">", Kind::BySchema)],
            value: None,
            value_end: "</param>",
            lines: false,
            end: "</function>",
            close: None,
        }),
        ToolFormat::Functionary => &Shape::Named(Named {
            open: "<function=",
            begin: None,
            name: ("", ""),
            separator: ">",
            fence: None,
            end: Some("</function>"),
            close: None,
        }),
        ToolFormat::GigaChat => &Shape::Objects(Objects { open: "<|function_call|>", close: None, ..OBJECTS }),
        ToolFormat::Apertus => &Shape::Objects(Objects {
            open: "<|tools_prefix|>",
            close: Some("<|tools_suffix|>"),
            list: List::Array,
            name: "",
            arguments: &[],
            bare: false,
        }),
    }
}

/// The tags around reasoning; none for harmony, which has messages instead.
pub(crate) const fn tags(format: ReasoningFormat) -> Option<&'static Tags> {
    Some(match format {
        ReasoningFormat::Granite3 => {
            &Tags { open: "<think>", close: "</think>", answer: &["<response>", "</response>"] }
        }
        ReasoningFormat::ThinkTags => &Tags { open: "<think>", close: "</think>", answer: &[] },
        ReasoningFormat::Harmony => return None,
        ReasoningFormat::Mistral => &Tags { open: "[THINK]", close: "[/THINK]", answer: &[] },
        ReasoningFormat::SeedOss => &Tags { open: "<seed:think>", close: "</seed:think>", answer: &[] },
        ReasoningFormat::Cohere => &Tags {
            open: "<|START_THINKING|>",
            close: "<|END_THINKING|>",
            answer: &["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
        },
        ReasoningFormat::Gemma4 => &Tags { open: "<|channel>thought\n", close: "<channel|>", answer: &[] },
        ReasoningFormat::Apriel => {
            &Tags { open: "Here are my reasoning steps:\n", close: "[BEGIN FINAL RESPONSE]", answer: &[] }
        }
        ReasoningFormat::MiniMaxM3 => &Tags { open: "<mm:think>", close: "</mm:think>", answer: &[] },
    })
}
