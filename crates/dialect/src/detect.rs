//! Detects a model's dialect from what its chat template renders.

use std::sync::Arc;

use hostler_protocol::{Dialect, ReasoningFormat, ReasoningSpan, ToolFormat};
use serde_json::{Value, json};

use crate::event::Event;
use crate::format::{self, List, Shape};
use crate::parser::{Parser, tool_format};
use crate::tool::Tool;

const NAME: &str = "probe_tool";
const DESCRIPTION: &str = "Describes the probe.";
const QUESTION: &str = "Is this the question?";
const REASONING: &str = "This is the reasoning.";
const CITY: &str = "Kyoto";

fn tool() -> Tool {
    let parameters = json!({"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string"}, "days": {"type": "integer"}}});
    Tool { name: NAME.to_owned(), description: Some(DESCRIPTION.to_owned()), parameters, strict: false }
}

fn arguments() -> Value {
    json!({"city": CITY, "days": 2})
}

/// The variables with which [`detect`] needs the template rendered: a question; a call of a tool
/// with its result; and a question with thinking enabled.
#[must_use]
pub fn probes() -> [Value; 3] {
    let user = json!({"role": "user", "content": QUESTION});
    // Mistral's templates require an id of nine characters.
    let call = json!({"role": "assistant", "content": "", "reasoning_content": REASONING, "tool_calls": [{
        "id": "abcdefghi", "type": "function", "function": {"name": NAME, "arguments": arguments()}}]});
    let result = json!({"role": "tool", "tool_call_id": "abcdefghi", "name": NAME, "content": "It rains."});
    [
        json!({"messages": [user], "add_generation_prompt": true}),
        json!({"messages": [user, call, result], "tools": [tool().to_template()], "add_generation_prompt": true,
               "enable_thinking": true, "thinking": true}),
        json!({"messages": [user], "add_generation_prompt": true, "enable_thinking": true, "thinking": true}),
    ]
}

/// Whether tools must be described to a model with this dialect ([`describe`](crate::describe)),
/// because its template does not render them, or asks for calls in a format that is not known.
/// Then the template is rendered without tools, and calls are written as in `hermes`.
#[must_use]
pub fn is_described(dialect: &Dialect) -> bool {
    tool_format(dialect).is_none()
}

/// Detects the dialect of a model from its template and from what the template rendered for
/// [`probes`]; `None` where it refused. The special tokens are left to the caller, who knows the
/// vocabulary.
#[must_use]
pub fn detect(template_source: &str, probes: [Option<&str>; 3]) -> Dialect {
    let [plain, called, thinking] = probes;
    let template_renders_tools = called.map_or(template_source.contains("tools"), |text| text.contains(DESCRIPTION));
    let tools = template_renders_tools.then(|| tools(template_source, called)).flatten();
    let reasoning = reasoning(template_source, probes);
    let opens =
        |text: Option<&str>| matches!((text, reasoning), (Some(text), Some(format)) if ends_in_reasoning(text, format));
    Dialect {
        tools,
        template_renders_tools,
        reasoning,
        opens_reasoning: opens(plain) || opens(called) || opens(thinking),
        ..Dialect::default()
    }
}

/// The reasoning at the beginning of an answer. Of harmony's, it is the first message of the
/// analysis channel.
#[must_use]
pub fn reasoning_span(format: ReasoningFormat, starts_in_reasoning: bool) -> ReasoningSpan {
    let (open, close) = format::tags(format)
        .map_or(("<|channel|>analysis<|message|>", "<|end|>"), |tags| (tags.open.trim_end(), tags.close.trim_start()));
    ReasoningSpan { open: open.to_owned(), close: close.to_owned(), is_open: starts_in_reasoning }
}

/// Whether a prompt ends with the tag that opens the reasoning.
#[must_use]
pub fn ends_in_reasoning(prompt: &str, format: ReasoningFormat) -> bool {
    let open = format::tags(format).map_or("<|channel|>analysis<|message|>", |tags| tags.open);
    prompt.trim_end().ends_with(open.trim_end())
}

/// The format in which the template renders the call; if it renders none, the one whose tags its
/// source has.
fn tools(source: &str, called: Option<&str>) -> Option<ToolFormat> {
    let rendered = called.and_then(|text| text.split_once(QUESTION)).map_or("", |(_, after)| after);
    if rendered.contains(CITY) {
        return ToolFormat::ALL.iter().copied().find(|&format| renders(rendered, format));
    }
    // Tags of arguments are more specific than those of a call.
    let (objects, others): (Vec<_>, Vec<_>) =
        ToolFormat::ALL.iter().copied().partition(|&format| matches!(format::shape(format), Shape::Objects(_)));
    others.into_iter().chain(objects).find(|&format| mentions(source, format))
}

/// Whether the text contains the call of the probe in a format.
fn renders(text: &str, format: ToolFormat) -> bool {
    if let Shape::Objects(objects) = format::shape(format) {
        let list = text.split_once(objects.open).map_or("", |(_, list)| list.trim_start());
        if objects.bare {
            // It is not at the beginning of the text here.
            return text.contains(&format!("{{\"name\": \"{NAME}\", \"parameters\": {{\"city\": \"{CITY}\""));
        }
        let lines = matches!(objects.close, Some(close) if list.split_once(close).is_some_and(|(list, _)| list.ends_with('\n')));
        let fits = match objects.list {
            List::Array => list.starts_with('['),
            List::Lines => list.starts_with('{') && lines,
            List::Each => list.starts_with('{'),
        };
        if !fits {
            return false;
        }
    }
    let dialect = Dialect { tools: Some(format), template_renders_tools: true, ..Dialect::default() };
    let mut parser = Parser::new(&dialect, Arc::from([tool()]), false);
    let (mut name, mut written) = (String::new(), String::new());
    let mut record = |event| match event {
        Event::Call { index: 0, name: called } => name = called,
        Event::Arguments { index: 0, piece } => written.push_str(&piece),
        _ => {}
    };
    parser.push(text, &mut record);
    parser.finish(&mut record);
    name == NAME && serde_json::from_str::<Value>(&written).is_ok_and(|written| written == arguments())
}

/// Whether a template's source has the tags of a format.
fn mentions(source: &str, format: ToolFormat) -> bool {
    match format::shape(format) {
        Shape::Objects(format) => {
            source.contains(format.open) && format.close.is_none_or(|close| source.contains(close))
        }
        Shape::Named(format) => source.contains(format.open) && source.contains(format.separator),
        Shape::Tagged(format) => source.contains(format.open) && source.contains(format.key),
        Shape::Harmony => source.contains("to=functions."),
    }
}

/// The format in which the template renders reasoning, or opens it in the prompt; if that is not
/// known, the one whose tags its source has.
fn reasoning(source: &str, probes: [Option<&str>; 3]) -> Option<ReasoningFormat> {
    let formats = || ReasoningFormat::ALL.iter().copied();
    let rendered = probes[1].and_then(|text| text.split_once(REASONING)).map_or("", |(before, _)| before);
    formats()
        .find(|&format| ends_in_reasoning(rendered, format))
        .or_else(|| formats().find(|&format| probes.into_iter().flatten().any(|text| ends_in_reasoning(text, format))))
        .or_else(|| {
            // Those with tags around the answer are more specific.
            let has_answer = |format| format::tags(format).is_some_and(|tags| !tags.answer.is_empty());
            let (specific, others): (Vec<_>, Vec<_>) = formats().partition(|&format| has_answer(format));
            specific.into_iter().chain(others).find(|&format| match format::tags(format) {
                Some(tags) => {
                    let has_answer = tags.answer.is_empty() || tags.answer.iter().any(|tag| source.contains(tag));
                    source.contains(tags.open.trim_end()) && source.contains(tags.close) && has_answer
                }
                None => source.contains("<|channel|>") && source.contains("analysis"),
            })
        })
}
