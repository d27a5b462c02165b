//! Grammars for tool calls, compiled by llguidance.
//!
//! Tokens are bytes, and the tags that a model has as special tokens are one token each.

mod examples;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::executor::block_on;
use hostler_dialect::{Choice, Event, Forced, Parser, Tool, grammar, markers};
use hostler_executor_kit::constraint::ConstraintCompiler;
use hostler_protocol::{Constraint, Dialect, ReasoningFormat, TenantId, ToolFormat};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie, TokenId};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value as Json, json};

use examples::calls;

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

/// Dialects of a format, with its tags as text and as special tokens.
fn dialects(format: ToolFormat, reasoning: Option<ReasoningFormat>) -> [(Dialect, Vocabulary); 2] {
    let dialect = Dialect { tools: Some(format), template_renders_tools: true, reasoning, ..Dialect::default() };
    let special = Vocabulary::new(markers(&dialect));
    let special_tokens = special.special.clone();
    [(dialect.clone(), Vocabulary::new([])), (Dialect { special_tokens, ..dialect }, special)]
}

fn forced<'a>(dialect: &'a Dialect, tools: &'a [Tool], choice: Choice) -> Forced<'a> {
    Forced { dialect, tools, choice, schema: None, parallel: true, starts_in_reasoning: false }
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
                let compiled = block_on(compiler.compile(&TenantId::default(), Constraint::Lark(lark), Vec::new()));
                assert!(compiled.is_ok(), "{format}, {choice:?}: {:?}", compiled.err());
            }
        }
    }
}

#[test]
fn forced_calls_are_parsed() {
    let tools: Arc<[Tool]> = tools().into();
    for &format in ToolFormat::ALL {
        let [(dialect, _), _] = dialects(format, None);
        let [one, two, ..] = calls(format);
        for text in [one, two] {
            let (mut names, mut arguments) = (Vec::new(), Vec::new());
            let mut record = |event| match event {
                Event::Call { name, .. } => {
                    names.push(name);
                    arguments.push(String::new());
                }
                Event::Arguments { index, piece } => arguments[index as usize].push_str(&piece),
                Event::Content(text) | Event::Reasoning(text) => panic!("{format}: {text:?} is no call"),
            };
            let mut parser = Parser::new(&dialect, Arc::clone(&tools), false);
            parser.push(&text, &mut record);
            assert!(!parser.finish(&mut record), "{format}: {text:?} is cut");
            let arguments: Vec<Json> =
                arguments.iter().map(|text| serde_json::from_str(text).expect("it is JSON")).collect();
            let expected = [("get_weather", json!({"city": "Kyōto", "days": 2})), ("stop", json!({"mode": "now"}))];
            let found = names.iter().map(String::as_str).zip(arguments);
            assert!(!names.is_empty() && found.eq(expected.into_iter().take(names.len())), "{format}: {text:?}");
        }
    }
}

#[test]
fn text_may_have_a_schema_and_reasoning_is_free() {
    let (tools, schema) =
        (tools(), json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}));
    for &format in ToolFormat::ALL {
        let (reasoning, thought) = reasoning(format);
        let text = match format {
            ToolFormat::Harmony => "<|channel|>final<|message|>{\"a\": 1}",
            _ => "{\"a\": 1}",
        };
        for (dialect, vocabulary) in dialects(format, Some(reasoning)) {
            let tag = if format == ToolFormat::Llama3Json { "<|python_tag|>" } else { "" };
            let one = format!("{tag}{}", calls(format)[0]);
            for tools in [&tools[..], &[]] {
                let forced = Forced { schema: Some(&schema), ..forced(&dialect, tools, Choice::Auto) };
                let lark = grammar(&forced).expect("there is a schema");
                for text in [text, &format!("{thought}{text}")] {
                    assert_eq!(vocabulary.accepts(&lark, text), Ok(()), "{format}\n{lark}");
                }
                for text in ["It rains.", &text.replace('1', "\"x\""), thought] {
                    assert!(vocabulary.accepts(&lark, text).is_err(), "{format} accepts {text:?}\n{lark}");
                }
                assert_eq!(vocabulary.accepts(&lark, &one).is_ok(), !tools.is_empty(), "{format}\n{lark}");
            }
        }
    }
}
