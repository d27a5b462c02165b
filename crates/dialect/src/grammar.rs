//! Lark grammars, in llguidance's dialect, that force valid calls.
//!
//! A grammar never restricts reasoning. Where the model may answer with text, it is free until
//! the tag of a call; from there, the name and the arguments are forced.

mod calls;
mod writer;

use hostler_protocol::Dialect;
use serde_json::Value;

use self::calls::Calls;
use self::writer::{ANY, SPACE, Writer, regex};
use crate::format::{self, Shape, Tags};
use crate::parser::{is_harmony, shape};
use crate::tool::Tool;

/// What an answer must be.
#[derive(Clone, Copy, Debug)]
pub struct Forced<'a> {
    /// The model's dialect.
    pub dialect: &'a Dialect,
    /// The tools that may be called; for a named tool, only that.
    pub tools: &'a [Tool],
    /// Whether it must be a call.
    pub choice: Choice,
    /// The schema of an answer that is not a call; without it, that answer is free text.
    pub schema: Option<&'a Value>,
    /// Several calls are allowed.
    pub parallel: bool,
    /// The prompt ends within the reasoning.
    pub starts_in_reasoning: bool,
}

/// Whether an answer must be a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Text, or calls, or text and then calls.
    Auto,
    /// One or more calls.
    Required,
}

/// The grammar of an answer; none if neither tools nor a schema restrict it.
///
/// JSON is written with at most one space after a comma or a colon, as chat templates render it,
/// so that the calls in the history of the next request are equal to what was generated. For a
/// tool that is not `strict`, parts of its schema that llguidance does not support are not
/// enforced; for others, they are an error when the grammar is compiled.
#[must_use]
pub fn grammar(forced: &Forced<'_>) -> Option<String> {
    if forced.tools.is_empty() && forced.schema.is_none() {
        return None;
    }
    let mut writer = Writer::new(&forced.dialect.special_tokens);
    if is_harmony(forced.dialect) {
        return Some(harmony(forced, writer));
    }
    let shape = shape(forced.dialect);
    let tags = forced.dialect.reasoning.and_then(format::tags);
    let reasoning = tags.map_or(String::new(), |tags| reasoning(&mut writer, tags, forced.starts_in_reasoning));
    let json = forced.schema.map(|schema| writer.json(schema, true));
    let answer = if forced.tools.is_empty() {
        format!("{SPACE}? {}", json.unwrap_or_default())
    } else {
        let calls = Calls::write(&mut writer, shape, forced.tools, forced.parallel);
        match (forced.choice, json) {
            (Choice::Required, _) => format!("{SPACE}? {}", calls.whole),
            // A lexer cannot tell a call without a tag from other JSON.
            (Choice::Auto, Some(json)) => match shape {
                Shape::Objects(format) if format.bare => {
                    format!("{SPACE}? ({json} | {} {SPACE}? {})", writer.literal(format.open), calls.whole)
                }
                _ => format!("{SPACE}? ({json} | {})", calls.whole),
            },
            (Choice::Auto, None) => free(&mut writer, shape, &calls, tags, forced),
        }
    };
    writer.rule("answer", &answer);
    Some(writer.finish(&format!("{reasoning} answer")))
}

/// The reasoning, which ends at its closing tag.
fn reasoning(writer: &mut Writer<'_>, tags: &Tags, has_begun: bool) -> String {
    let body = writer.until("reasoning_text", tags.close);
    if has_begun {
        return body;
    }
    let open = writer.literal(tags.open);
    writer.rule("reasoning", &format!("{open} {body}"));
    "reasoning?".to_owned()
}

/// Text, which may be followed by calls.
fn free(writer: &mut Writer<'_>, shape: &Shape, calls: &Calls, tags: Option<&Tags>, forced: &Forced<'_>) -> String {
    // Text must not hide the tag of the reasoning.
    let mut excluded: String = match tags {
        Some(tags) if !forced.starts_in_reasoning && writer.special(tags.open).is_none() => {
            format!(" & ~/{}.*/s", regex(tags.open))
        }
        _ => String::new(),
    };
    if let Shape::Objects(format) = shape
        && format.bare
    {
        for tool in forced.tools {
            excluded += &format!(" & ~/{}.*/s", regex(&calls::object_begin(format, &tool.name)));
        }
        writer.rule("FREE", &format!("{ANY}{excluded}"));
        let tagged = format!("{} {SPACE}? {}", writer.literal(format.open), calls.whole);
        return format!("FREE | {} | {tagged}", calls.whole);
    }
    let open = shape.open().unwrap_or_default();
    writer.rule("LEAD", &format!("{ANY}{excluded}"));
    if let Some(open) = writer.special(open) {
        let answer = tags.map_or(&[][..], |tags| tags.answer);
        let answer: Vec<_> = answer.iter().filter_map(|tag| writer.special(tag)).collect();
        let others = if answer.is_empty() { String::new() } else { format!("(({}) LEAD)*", answer.join(" | ")) };
        return format!("LEAD {others} ({open} {})?", calls.opened);
    }
    writer.rule("FREE", &format!("{ANY} & ~/.*{}.*/s{excluded}", regex(open)));
    writer.rule("lead[lazy]", &format!("LEAD {}", writer.literal(open)));
    format!("FREE | lead {}", calls.opened)
}

/// Messages, of which the last is the call or the answer.
fn harmony(forced: &Forced<'_>, mut writer: Writer<'_>) -> String {
    let channel = writer.literal("<|channel|>");
    let message = writer.literal("<|message|>");
    let next = format!("{} \"assistant\"", writer.literal("<|start|>"));
    let body = writer.until("body", "<|end|>");
    let json = format!("({} \"json\")?", writer.literal("<|constrain|>"));
    let calls: Vec<_> = forced
        .tools
        .iter()
        .map(|tool| {
            let arguments = writer.json(&tool.parameters, tool.strict);
            let name = writer.literal(&format!("commentary to=functions.{}", tool.name));
            format!("{name} \" \"? {json} {message} {arguments}")
        })
        .collect();
    writer.rule("ANY", ANY);
    let preamble = match forced.choice {
        Choice::Auto => "(\"analysis\" | \"commentary\")",
        Choice::Required => "\"analysis\"",
    };
    writer.rule("message", &format!("{channel} {preamble} {message} {body} {next}"));
    let mut last = calls;
    if forced.choice == Choice::Auto {
        let text = forced.schema.map_or_else(|| "ANY".to_owned(), |schema| writer.json(schema, true));
        last.push(format!("\"final\" {message} {text}"));
    }
    writer.rule("last", &format!("{channel} ({})", last.join(" | ")));
    let begin = if forced.starts_in_reasoning { format!("{body} {next}") } else { String::new() };
    writer.finish(&format!("{begin} message* last"))
}
