//! The JSON Schema of a configuration file, and what is read back from it: the keys, what
//! each allows, and its default. Each stands once, on the field of its type.

use figment::value::{Dict, Num, Value as Set};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::Problem;
use crate::fields::ORDER;

/// A key, as it is documented.
pub(crate) struct Key {
    /// The section, dotted: `scheduler.queue`.
    pub(crate) section: String,
    /// The key in it.
    pub(crate) name: String,
    /// What it allows.
    pub(crate) allowed: String,
    /// The default; `None`: the key is omitted by default. A table is empty by default.
    pub(crate) default: Option<Value>,
    /// What it means.
    pub(crate) help: String,
}

/// The schema of `T`, self-contained and in the draft that TOML editors support.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Lines of a doc comment become paragraphs, and only keys have a default.
fn tidy(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.remove("default");
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|paragraph| {
            if paragraph.starts_with('|') { paragraph.to_owned() } else { paragraph.replace('\n', " ") }
        });
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

/// The schema of the value at a dotted path.
pub(crate) fn property<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(schema, |schema, name| {
        let properties = schema.get("properties").and_then(|properties| properties.get(name));
        properties.or_else(|| schema.get("additionalProperties").filter(|inner| inner.is_object()))
    })
}

/// Whether the value at a dotted path must not be shown: it is a secret, or may contain one.
/// Of a path that does not exist, the nearest table decides.
pub(crate) fn is_secret(schema: &Value, path: &str) -> bool {
    let mut nearest = schema;
    for name in path.split('.') {
        let Some(inner) = property(nearest, name) else { break };
        nearest = inner;
    }
    contains_secret(nearest)
}

fn contains_secret(schema: &Value) -> bool {
    let mut inner = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
    schema["writeOnly"] == true
        || inner.any(contains_secret)
        || schema.get("additionalProperties").is_some_and(|inner| inner.is_object() && contains_secret(inner))
}

/// The keys of a table, if the value is one.
pub(crate) fn keys_of(schema: &Value) -> Option<String> {
    let names = schema.get("properties").and(schema[ORDER].as_array())?;
    Some(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
}

/// What a key allows, for people; `None` for a table of keys.
pub(crate) fn allowed(schema: &Value) -> Option<String> {
    let words = |list: &Value| -> Vec<String> {
        let word = |value: &Value| value.get("const").unwrap_or(value).as_str().map(str::to_owned);
        list.as_array().into_iter().flatten().filter_map(word).collect()
    };
    if let Some(form) = schema["x-allowed"].as_str() {
        return Some(form.to_owned());
    }
    if let (Some(min), Some(max)) = (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        return Some(format!("{min} to {max}"));
    }
    let words = [words(&schema["enum"]), words(&schema["oneOf"])].concat();
    match schema["type"].as_str() {
        _ if !words.is_empty() => Some(words.join(", ")),
        Some("boolean") => Some("true and false".to_owned()),
        Some("object") if schema.get("properties").is_some() => None,
        _ => Some("values of its type".to_owned()),
    }
}

/// Every key, section by section, in the order in which they are declared.
pub(crate) fn keys(schema: &Value) -> Vec<Key> {
    let mut keys = Vec::new();
    collect(schema, "", &mut keys);
    keys
}

fn collect(schema: &Value, section: &str, keys: &mut Vec<Key>) {
    let names = || schema[ORDER].as_array().into_iter().flatten().filter_map(Value::as_str);
    let is_section = |name: &str| schema["properties"][name].get("properties").is_some();
    for name in names().filter(|name| !is_section(name)) {
        let property = &schema["properties"][name];
        // Without a section, it is `schedulers`: sections that the user names.
        let (Some(allowed), false) = (allowed(property), section.is_empty()) else { continue };
        let help = property["description"].as_str().unwrap_or_default();
        keys.push(Key {
            section: section.to_owned(),
            name: name.to_owned(),
            allowed,
            default: property.get("default").cloned(),
            help: help.split("\n\n").next().unwrap_or_default().to_owned(),
        });
    }
    for name in names().filter(|name| is_section(name)) {
        let inner = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
        collect(&schema["properties"][name], &inner, keys);
    }
}

/// Numbers that are out of range. Types and words were checked when the values were read.
pub(crate) fn out_of_range(schema: &Value, path: &str, values: &Dict, problems: &mut Vec<Problem>) {
    for (name, value) in values {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(schema) = property(schema, name) else { continue };
        match value {
            Set::Dict(_, inner) => out_of_range(schema, &path, inner, problems),
            Set::Num(_, number) if !is_in_range(schema, *number) => {
                let allowed = allowed(schema).unwrap_or_default();
                let message = format!("{} is out of range; allowed are {allowed}", shown(value));
                problems.push(Problem::new(path, message));
            }
            _ => {}
        }
    }
}

fn is_in_range(schema: &Value, number: Num) -> bool {
    match (schema["minimum"].as_f64(), schema["maximum"].as_f64(), as_f64(number)) {
        (Some(min), Some(max), number) => (min..=max).contains(&number),
        _ => true,
    }
}

/// Exact up to 2⁵³; every bound is below that.
fn as_f64(number: Num) -> f64 {
    let whole = number.to_i128().map(|number| number as f64);
    whole.or_else(|| number.to_u128().map(|number| number as f64)).or_else(|| number.to_f64()).unwrap_or(f64::NAN)
}

/// A value as a person wrote it.
pub(crate) fn shown(value: &Set) -> String {
    match value {
        Set::String(_, text) => format!("{text:?}"),
        Set::Num(_, number) => match (number.to_i128(), number.to_u128(), number.to_f64()) {
            (Some(number), ..) => number.to_string(),
            (_, Some(number), _) => number.to_string(),
            (.., Some(number)) => format!("{number:?}"),
            _ => "a number".to_owned(),
        },
        Set::Bool(_, value) => value.to_string(),
        Set::Array(_, values) => format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
        _ => "a table".to_owned(),
    }
}
