//! The rules for calls.

use serde_json::{Value, json};

use super::writer::{SPACE, Writer};
use crate::format::{Kind, List, Named, Objects, Shape, Tagged};
use crate::tool::{Tool, is_string};

/// Expressions for calls.
#[derive(Debug)]
pub(crate) struct Calls {
    /// From the opening tag.
    pub(crate) whole: String,
    /// Behind the opening tag.
    pub(crate) opened: String,
}

impl Calls {
    pub(crate) fn write(writer: &mut Writer<'_>, shape: &Shape, tools: &[Tool], parallel: bool) -> Self {
        match shape {
            Shape::Objects(format) => objects(writer, format, tools, parallel),
            Shape::Named(format) => {
                let calls: Vec<_> = tools.iter().map(|tool| named(writer, format, tool)).collect();
                sections(writer, &calls, format.open, format.begin, format.close, parallel)
            }
            Shape::Tagged(format) => {
                let calls: Vec<_> = tools.iter().map(|tool| tagged(writer, format, tool)).collect();
                sections(writer, &calls, format.open, format.begin, format.close, parallel)
            }
            // The caller writes messages.
            Shape::Harmony => Self { whole: String::new(), opened: String::new() },
        }
    }
}

/// The beginning of a call's object, up to the arguments.
pub(crate) fn object_begin(format: &Objects, name: &str) -> String {
    let name = json!(name);
    match format.arguments.first() {
        Some(arguments) => format!("{{\"{}\": {name}, \"{arguments}\": ", format.name),
        None => format!("{{{name}: "),
    }
}

fn objects(writer: &mut Writer<'_>, format: &Objects, tools: &[Tool], parallel: bool) -> Calls {
    let objects: Vec<_> = tools
        .iter()
        .map(|tool| {
            let arguments = writer.json(&tool.parameters, tool.strict);
            format!("{} {arguments} \"}}\"", writer.literal(&object_begin(format, &tool.name)))
        })
        .collect();
    writer.rule("call", &objects.join(" | "));
    let more = |separator: &str| if parallel { format!("({separator} call)*") } else { String::new() };
    if format.bare {
        let calls = format!("call {}", more("/; ?/"));
        writer.rule("calls", &calls);
        return Calls { whole: "calls".to_owned(), opened: "calls".to_owned() };
    }
    let close = format.close.map_or(String::new(), |close| format!("{SPACE}? {}", writer.literal(close)));
    let open = writer.literal(format.open);
    let opened = match format.list {
        List::Array => format!("{SPACE}? \"[\" {SPACE}? call {} {SPACE}? \"]\" {close}", more("/, ?\\n? {0,4}/")),
        List::Lines => format!("{SPACE}? call {} {close}", more(SPACE)),
        List::Each => {
            let one = format!("{SPACE}? call {close}");
            let others = if parallel { format!("({SPACE}? {open} {one})*") } else { String::new() };
            format!("{one} {others}")
        }
    };
    writer.rule("opened", &opened);
    Calls { whole: format!("{open} opened"), opened: "opened".to_owned() }
}

/// Calls with a beginning and an end each, between tags.
fn sections(
    writer: &mut Writer<'_>,
    calls: &[String],
    open: &str,
    begin: Option<&str>,
    close: Option<&str>,
    parallel: bool,
) -> Calls {
    writer.rule("call", &calls.join(" | "));
    let open = writer.literal(open);
    let begin = begin.map(|begin| writer.literal(begin));
    let close = close.map_or(String::new(), |close| format!("{SPACE}? {}", writer.literal(close)));
    let one = match &begin {
        Some(begin) => format!("{SPACE}? {begin} call"),
        None => "call".to_owned(),
    };
    let others = match &begin {
        _ if !parallel => String::new(),
        Some(_) => format!("({one})*"),
        None => format!("({SPACE}? {open} call)*"),
    };
    writer.rule("opened", &format!("{one} {others} {close}"));
    Calls { whole: format!("{open} opened"), opened: "opened".to_owned() }
}

fn named(writer: &mut Writer<'_>, format: &Named, tool: &Tool) -> String {
    let (before, after) = format.name;
    let id = if before.starts_with('<') { "/[A-Za-z0-9_\\-]{1,40}/ " } else { "" };
    let number = if after == ":" { " \":\" /[0-9]{1,3}/ " } else { " " };
    let arguments = writer.json(&tool.parameters, tool.strict);
    let name = writer.literal(&format!("{before}{}", tool.name));
    let separator = writer.literal(format.separator);
    let end =
        format!("{}{}", format.fence.map_or(String::new(), |fence| format!("\n{fence}")), format.end.unwrap_or(""));
    format!("{id}{name}{number}{separator} {arguments} {}", writer.literal(&end))
}

fn tagged(writer: &mut Writer<'_>, format: &Tagged, tool: &Tool) -> String {
    let mut call = writer.literal(&format!("{}{}", tool.name, format.name_end.unwrap_or("")));
    let required = |key: &str| {
        tool.parameters["required"].as_array().is_some_and(|keys| keys.iter().any(|required| required == key))
    };
    let properties = tool.parameters["properties"].as_object();
    for (key, schema) in properties.into_iter().flatten() {
        let argument = argument(writer, format, tool, key, schema);
        let optional = if required(key) { "" } else { "?" };
        call += &format!(" ({SPACE}? {argument}){optional}");
    }
    format!("{call} {SPACE}? {}", writer.literal(format.end))
}

fn argument(writer: &mut Writer<'_>, format: &Tagged, tool: &Tool, key: &str, schema: &Value) -> String {
    let is_text = is_string(schema);
    let kind = if is_text { Kind::Text } else { Kind::Json };
    let key_end = format.key_ends.iter().find(|(_, of)| *of == kind || *of == Kind::BySchema);
    let key_end = key_end.map_or("", |(end, _)| *end);
    let key = writer.literal(&format!("{}{key}{key_end}", format.key));
    let value = format.value.map_or(String::new(), |value| format!("{SPACE}? {}", writer.literal(value)));
    let line = if format.lines { "\n" } else { "" };
    let begin = format!("{key} {value} {}", writer.literal(line));
    let end = format!("{line}{}", format.value_end);
    let texts = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => values.iter().filter_map(Value::as_str).collect(),
        (None, Some(Value::String(value))) => vec![value.as_str()],
        _ => Vec::new(),
    };
    if is_text && !texts.is_empty() {
        let texts: Vec<_> = texts.iter().map(|text| json!(text).to_string()).collect();
        format!("{begin} ({}) {}", texts.join(" | "), writer.literal(&end))
    } else if is_text {
        format!("{begin} {}", writer.until("text", &end))
    } else {
        let value = writer.json(&with_definitions(schema, &tool.parameters), tool.strict);
        format!("{begin} {value} {}", writer.literal(&end))
    }
}

/// A property's schema, with the definitions that it may refer to.
fn with_definitions(schema: &Value, root: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(members) = &mut schema {
        for key in ["$defs", "definitions"] {
            if let Some(definitions) = root.get(key) {
                members.entry(key).or_insert_with(|| definitions.clone());
            }
        }
    }
    schema
}
