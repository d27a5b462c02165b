//! Grammars for tool calls, compiled by llguidance.
//!
//! Tokens are bytes, and the tags that a model has as special tokens are one token each.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::executor::block_on;
use hostler_dialect::{Choice, Forced, Tool, grammar, markers};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_protocol::{Constraint, Dialect, ReasoningFormat, ToolFormat};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie, TokenId};
use llguidance::{Matcher, ParserFactory};
use serde_json::json;

/// A vocabulary of bytes and special tokens; the last ends an answer.
struct Vocabulary {
    factory: ParserFactory,
    special: BTreeMap<String, TokenId>,
    end: TokenId,
}

impl Vocabulary {
    fn new(special: impl IntoIterator<Item = String>) -> Self {
        let special: BTreeMap<_, _> = (256..).zip(special).map(|(id, text)| (text, id)).collect();
        let mut words: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let mut names: Vec<_> = special.iter().collect();
        names.sort_by_key(|(_, id)| **id);
        let end = u32::try_from(words.len() + names.len()).expect("it is small");
        for text in names.into_iter().map(|(text, _)| text.as_str()).chain(["<end>"]) {
            let mut word = vec![TokTrie::SPECIAL_TOKEN_MARKER];
            word.extend_from_slice(text.as_bytes());
            words.push(word);
        }
        let trie = TokTrie::from(&TokRxInfo::new(end + 1, end), &words);
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        Self { factory: ParserFactory::new_simple(&env).expect("the vocabulary is valid"), special, end }
    }

    /// The text as tokens, with the special tokens in it.
    fn tokens(&self, text: &str) -> Vec<TokenId> {
        let (mut tokens, mut rest) = (Vec::new(), text);
        while let Some(byte) = rest.bytes().next() {
            let special = self.special.iter().filter(|(token, _)| rest.starts_with(token.as_str()));
            match special.max_by_key(|(token, _)| token.len()) {
                Some((token, &id)) => {
                    tokens.push(id);
                    rest = &rest[token.len()..];
                }
                None => {
                    tokens.push(u32::from(byte));
                    // A character may be several bytes.
                    let c = rest.chars().next().expect("it is not empty");
                    tokens.extend(rest.bytes().take(c.len_utf8()).skip(1).map(u32::from));
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        tokens
    }

    /// Whether the grammar accepts the text as a whole answer; or where it refuses it.
    fn accepts(&self, lark: &str, text: &str) -> Result<(), String> {
        let parser = self.factory.create_parser(TopLevelGrammar::from_lark(lark.to_owned()));
        let mut matcher = Matcher::new(parser);
        if let Some(error) = matcher.get_error() {
            panic!("the grammar cannot be compiled: {error}\n{lark}");
        }
        let tokens = self.tokens(text);
        for (at, &token) in tokens.iter().enumerate() {
            let mask = matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
            if !mask.is_allowed(token) {
                return Err(format!("token {at} of {text:?}"));
            }
            matcher.consume_token(token).map_err(|error| error.to_string())?;
        }
        let mask = matcher.compute_mask_or_eos().map_err(|error| error.to_string())?;
        if mask.is_allowed(self.end) { Ok(()) } else { Err(format!("the end of {text:?}")) }
    }
}

fn tools() -> Vec<Tool> {
    let weather = json!({"type": "object", "required": ["city"], "additionalProperties": false, "properties": {
        "city": {"type": "string"}, "days": {"$ref": "#/$defs/days"}},
        "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}}});
    let stop = json!({"type": "object", "required": ["mode"], "additionalProperties": false, "properties": {
        "mode": {"type": "string", "enum": ["now", "later"]}}});
    [("get_weather", weather), ("stop", stop)]
        .map(|(name, parameters)| Tool { name: name.to_owned(), description: None, parameters, strict: true })
        .into()
}

/// A call of `get_weather` and one of `stop`, the same with a value that the schema does not
/// allow, and with a tool that does not exist.
fn calls(format: ToolFormat) -> [String; 4] {
    let both = |first: &dyn Fn(&str, &str) -> String, open: &str, close: &str, between: &str| {
        let weather =
            |name: &str, days: &str| format!("{{\"city\": \"Kyōto\", \"days\": {days}}}").replace("NAME", name);
        let (good, bad) = (weather("", "2"), weather("", "10"));
        let call = |name: &str, arguments: &str| first(name, arguments);
        let stop = "{\"mode\": \"now\"}";
        [
            format!("{open}{}{close}", call("get_weather", &good)),
            format!("{open}{}{between}{}{close}", call("get_weather", &good), call("stop", stop)),
            format!("{open}{}{close}", call("get_weather", &bad)),
            format!("{open}{}{close}", call("get_rain", &good)),
        ]
    };
    let object = |name: &str, arguments: &str| format!("{{\"name\": \"{name}\", \"arguments\": {arguments}}}");
    let array = |open, close| both(&object, open, close, ", ");
    let tags = |section: (&str, &str),
                begin: &'static str,
                name_end: &'static str,
                key: [&'static str; 3],
                end: &'static str,
                line: &'static str| {
        let value = |name: &str, value: &str, is_text: bool| {
            let kind = match (key[1].contains("string="), is_text) {
                (true, false) => "\" string=\"false\">",
                _ => key[1],
            };
            format!("\n{}{name}{kind}{line}{value}{line}{}", key[0], key[2])
        };
        let weather = |name: &str, days: &str| {
            format!("{begin}{name}{name_end}{}{}\n{end}", value("city", "Kyōto", true), value("days", days, false))
        };
        let stop = format!("{begin}stop{name_end}{}\n{end}", value("mode", "now", true));
        let between = if section.0.is_empty() { "\n" } else { "" };
        [
            format!("{}{}{}", section.0, weather("get_weather", "2"), section.1),
            format!("{}{}{between}{stop}{}", section.0, weather("get_weather", "2"), section.1),
            format!("{}{}{}", section.0, weather("get_weather", "10"), section.1),
            format!("{}{}{}", section.0, weather("get_rain", "2"), section.1),
        ]
    };
    let each = |open: &str, close: &str| {
        both(&|name, arguments| format!("{open}{}{close}", object(name, arguments)), "", "", "\n")
    };
    match format {
        ToolFormat::Hermes => each("<tool_call>\n", "\n</tool_call>"),
        ToolFormat::Llama3Json => {
            both(&|name, arguments| format!("{{\"name\": \"{name}\", \"parameters\": {arguments}}}"), "", "", "; ")
        }
        ToolFormat::MistralArray => array("[TOOL_CALLS][", "]"),
        ToolFormat::Mistral => both(&|name, arguments| format!("[TOOL_CALLS]{name}[ARGS]{arguments}"), "", "", ""),
        ToolFormat::Harmony => {
            let mut calls = both(
                &|name, arguments| {
                    format!("<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}")
                },
                "",
                "",
                "",
            );
            // There is one call in an answer.
            calls[1] = calls[0].clone();
            calls
        }
        ToolFormat::Qwen3Coder => {
            let mut calls = tags(
                ("", ""),
                "<tool_call>\n<function=",
                ">",
                ["<parameter=", ">", "</parameter>"],
                "</function>\n</tool_call>",
                "\n",
            );
            calls[1] = calls[1].replace("</tool_call>\n<tool_call>\n", "");
            calls
        }
        ToolFormat::SeedOss => tags(
            ("<seed:tool_call>\n", "\n</seed:tool_call>"),
            "<function=",
            ">",
            ["<parameter=", ">", "</parameter>"],
            "</function>",
            "",
        ),
        ToolFormat::MiniMaxM2 => tags(
            ("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
            "<invoke name=\"",
            "\">",
            ["<parameter name=\"", "\">", "</parameter>"],
            "</invoke>",
            "",
        ),
        ToolFormat::DeepSeekV32 | ToolFormat::DeepSeekV4 => {
            let section = if format == ToolFormat::DeepSeekV32 { "function_calls" } else { "tool_calls" };
            let (open, close) = (format!("<｜DSML｜{section}>\n"), format!("\n</｜DSML｜{section}>"));
            tags(
                (&open, &close),
                "<｜DSML｜invoke name=\"",
                "\">",
                ["<｜DSML｜parameter name=\"", "\" string=\"true\">", "</｜DSML｜parameter>"],
                "</｜DSML｜invoke>",
                "",
            )
        }
        ToolFormat::Glm => tags(
            ("", ""),
            "<tool_call>",
            "",
            ["<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>"],
            "</tool_call>",
            "",
        ),
        ToolFormat::MiniCpm5 => {
            tags(("", ""), "<function name=\"", "\">", ["<param name=\"", "\">", "</param>"], "</function>", "")
        }
        ToolFormat::DeepSeekV3 => both(
            &|name, arguments| {
                format!(
                    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
                )
            },
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "\n",
        ),
        ToolFormat::DeepSeekV31 => both(
            &|name, arguments| format!("<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>"),
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "",
        ),
        ToolFormat::KimiK2 => both(
            &|name, arguments| {
                format!("<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>")
            },
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "",
        ),
        ToolFormat::Solar => both(
            &|name, arguments| {
                format!(
                    "<|tool_call:begin|>abc-1<|tool_call:name|>{name}<|tool_call:args|>{arguments}<|tool_call:end|>"
                )
            },
            "<|tool_calls|>",
            "<|calls|>",
            "",
        ),
        ToolFormat::Functionary => each_named("<function=", ">", "</function>"),
        ToolFormat::Phi4 => array("functools[", "]"),
        ToolFormat::Granite3 => array("<|tool_call|>[", "]"),
        ToolFormat::Apriel => array("<tool_calls>[", "]</tool_calls>"),
        ToolFormat::Nemotron => array("<TOOLCALL>[", "]</TOOLCALL>"),
        ToolFormat::MiniMaxM1 => both(&object, "<tool_calls>\n", "\n</tool_calls>", "\n"),
        ToolFormat::GigaChat => each("<|function_call|>", ""),
        ToolFormat::Cohere => both(
            &|name, arguments| format!("{{\"tool_name\": \"{name}\", \"parameters\": {arguments}}}"),
            "<|START_ACTION|>[\n",
            "\n]<|END_ACTION|>",
            ",\n    ",
        ),
        ToolFormat::Apertus => both(
            &|name, arguments| format!("{{\"{name}\": {arguments}}}"),
            "<|tools_prefix|>[",
            "]<|tools_suffix|>",
            ", ",
        ),
    }
}

fn each_named(begin: &str, separator: &str, end: &str) -> [String; 4] {
    let call = |name: &str, arguments: &str| format!("{begin}{name}{separator}{arguments}{end}");
    let weather = "{\"city\": \"Kyōto\", \"days\": 2}";
    [
        call("get_weather", weather),
        call("get_weather", weather) + &call("stop", "{\"mode\": \"now\"}"),
        call("get_weather", "{\"city\": \"Kyōto\", \"days\": 10}"),
        call("get_rain", weather),
    ]
}

/// Dialects of a format, with its tags as text and as special tokens.
fn dialects(format: ToolFormat, reasoning: Option<ReasoningFormat>) -> [(Dialect, Vocabulary); 2] {
    let dialect = Dialect { tools: Some(format), template_renders_tools: true, reasoning, ..Dialect::default() };
    let special = Vocabulary::new(markers(&dialect));
    let special_tokens = special.special.clone();
    [(dialect.clone(), Vocabulary::new([])), (Dialect { special_tokens, ..dialect }, special)]
}

fn forced<'a>(dialect: &'a Dialect, tools: &'a [Tool], choice: Choice) -> Forced<'a> {
    Forced { dialect, tools, choice, parallel: true, starts_in_reasoning: false }
}

/// The reasoning that comes with a format, and text that has it.
fn reasoning(format: ToolFormat) -> (ReasoningFormat, &'static str) {
    match format {
        ToolFormat::Harmony => {
            (ReasoningFormat::Harmony, "<|channel|>analysis<|message|>Call {\"or\"} not?<|end|><|start|>assistant")
        }
        _ => (ReasoningFormat::ThinkTags, "<think>\nCall {\"or\"} not?\n</think>\n\n"),
    }
}

#[test]
fn required_calls_are_valid() {
    let tools = tools();
    for &format in ToolFormat::ALL {
        let (reasoning, thought) = reasoning(format);
        for (dialect, vocabulary) in dialects(format, Some(reasoning)) {
            let lark = grammar(&forced(&dialect, &tools, Choice::Required)).expect("there are tools");
            let [one, two, invalid, unknown] = calls(format);
            for text in [&one, &two, &format!("{thought}{one}")] {
                assert_eq!(vocabulary.accepts(&lark, text), Ok(()), "{format}\n{lark}");
            }
            for text in [&invalid, &unknown, "It rains.", "", thought] {
                assert!(vocabulary.accepts(&lark, text).is_err(), "{format} accepts {text:?}\n{lark}");
            }
            let only_stop = grammar(&forced(&dialect, &tools[1..], Choice::Required)).expect("there is a tool");
            assert!(vocabulary.accepts(&only_stop, &one).is_err(), "{format}");
            let one_call = Forced { parallel: false, ..forced(&dialect, &tools, Choice::Required) };
            let lark = grammar(&one_call).expect("there are tools");
            assert_eq!(vocabulary.accepts(&lark, &one), Ok(()), "{format}\n{lark}");
            if format != ToolFormat::Harmony {
                assert!(vocabulary.accepts(&lark, &two).is_err(), "{format}");
            }
        }
    }
}

#[test]
fn an_answer_is_free_until_a_call_begins() {
    let tools = tools();
    for &format in ToolFormat::ALL {
        let (reasoning, thought) = reasoning(format);
        for (dialect, vocabulary) in dialects(format, Some(reasoning)) {
            let lark = grammar(&forced(&dialect, &tools, Choice::Auto)).expect("there are tools");
            let [one, two, invalid, unknown] = calls(format);
            let (text, before) = match format {
                ToolFormat::Harmony => (
                    "<|channel|>final<|message|>It <rains> {\"a\": 1}.",
                    "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant",
                ),
                // A call of Llama is the whole answer.
                ToolFormat::Llama3Json => ("It <rains> {\"name\": 1}.", ""),
                _ => ("It <rains> {\"a\": 1}.", "I look.\n\n"),
            };
            for text in
                [text, &one, &two, &format!("{before}{one}"), &format!("{thought}{one}"), &format!("{thought}{text}")]
            {
                assert_eq!(vocabulary.accepts(&lark, text), Ok(()), "{format}\n{lark}");
            }
            assert!(vocabulary.accepts(&lark, &invalid).is_err(), "{format}\n{lark}");
            if format != ToolFormat::Llama3Json {
                assert!(vocabulary.accepts(&lark, &unknown).is_err(), "{format}\n{lark}");
            }
        }
    }
}

#[test]
fn reasoning_may_begin_in_the_prompt() {
    let tools = tools();
    for (dialect, vocabulary) in dialects(ToolFormat::Hermes, Some(ReasoningFormat::ThinkTags)) {
        let call = calls(ToolFormat::Hermes)[0].clone();
        for choice in [Choice::Auto, Choice::Required] {
            let forced = Forced { starts_in_reasoning: true, ..forced(&dialect, &tools, choice) };
            let lark = grammar(&forced).expect("there are tools");
            let text = format!("Is it <tool_call>?\n</think>\n\n{call}").replace("<tool_call>?", "<b>?");
            assert_eq!(vocabulary.accepts(&lark, &text), Ok(()), "{lark}");
            assert!(vocabulary.accepts(&lark, &call).is_err());
        }
    }
}

#[test]
fn tags_around_the_answer_are_allowed() {
    let tools = tools();
    for (dialect, vocabulary) in dialects(ToolFormat::Cohere, Some(ReasoningFormat::Cohere)) {
        let lark = grammar(&forced(&dialect, &tools, Choice::Auto)).expect("there are tools");
        let text = "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>It rains.<|END_RESPONSE|>";
        assert_eq!(vocabulary.accepts(&lark, text), Ok(()), "{lark}");
    }
}

#[test]
fn grammars_are_within_the_limits_of_the_compiler() {
    let tools: Vec<_> = (0..40)
        .flat_map(|copy| tools().into_iter().map(move |tool| Tool { name: format!("{}_{copy}", tool.name), ..tool }))
        .collect();
    for &format in ToolFormat::ALL {
        let (reasoning, _) = reasoning(format);
        for (dialect, vocabulary) in dialects(format, Some(reasoning)) {
            let compiler = ConstraintCompiler::new(Arc::new(vocabulary.factory), &[vocabulary.end]);
            let compiler = compiler.expect("a thread starts");
            for choice in [Choice::Auto, Choice::Required] {
                let lark = grammar(&forced(&dialect, &tools, choice)).expect("there are tools");
                assert!(lark.len() < 64 * 1024, "{format}: {} bytes", lark.len());
                let compiled = block_on(compiler.compile(Constraint::Lark(lark), Vec::new()));
                assert!(compiled.is_ok(), "{format}, {choice:?}: {:?}", compiled.err());
            }
        }
    }
}
