//! The reference file, the handbook and the JSON Schema against the types.

use hostler_config::{Layer, json_schema, load, reference_file, reference_table};
use serde_json::Value;

const FILE: &str = include_str!("../../../config/hostler.toml");
const HANDBOOK: &str = include_str!("../../../docs/configuration.md");

#[test]
fn the_reference_file_is_up_to_date() {
    assert!(FILE == reference_file(), "config/hostler.toml is stale: run `cargo xtask docs`");
}

#[test]
fn the_handbook_is_up_to_date() {
    assert!(HANDBOOK.contains(&reference_table()), "docs/configuration.md is stale: run `cargo xtask docs`");
}

#[test]
fn the_reference_file_states_the_defaults() {
    let layer = Layer::text("config/hostler.toml", FILE).expect("it is TOML");
    assert_eq!(load(&[layer], &[]).expect("it is valid"), load(&[], &[]).expect("the defaults are valid"));
}

/// A key without a description or a range could not be documented or checked.
#[test]
fn every_key_is_documented_and_every_number_has_a_range() {
    let schema: Value = serde_json::from_str(&json_schema()).expect("it is JSON");
    let mut keys = 0;
    check(&schema, "", &mut keys);
    assert!(keys >= 80, "only {keys} keys were found");
}

fn check(schema: &Value, path: &str, keys: &mut usize) {
    let properties = schema["properties"].as_object().expect("a section has keys");
    assert_eq!(schema["additionalProperties"], false, "{path} accepts unknown keys");
    assert_eq!(schema["x-order"].as_array().map(Vec::len), Some(properties.len()), "{path}: some keys have no order");
    for (name, property) in properties {
        let path = format!("{path}.{name}");
        assert!(property["description"].is_string(), "{path} has no description");
        if property.get("properties").is_some() {
            check(property, &path, keys);
            continue;
        }
        *keys += 1;
        let is_number = ["integer", "number"].iter().any(|number| {
            property["type"] == *number
                || property["type"].as_array().is_some_and(|types| types.contains(&(*number).into()))
        });
        let has_range = property["minimum"].is_number() && property["maximum"].is_number();
        assert!(!is_number || has_range, "{path} has no range");
        let has_words = property["enum"].is_array() || property["oneOf"].is_array();
        let has_form = property["x-allowed"].is_string() || property["type"] == "boolean";
        assert!(is_number || has_words || has_form || path == ".schedulers", "{path} does not say what is allowed");
    }
}

#[test]
fn the_files_of_the_roles_are_valid() {
    for (name, text) in [
        ("gateway.toml", include_str!("../../../config/cluster/gateway.toml")),
        ("worker.toml", include_str!("../../../config/cluster/worker.toml")),
    ] {
        // The commented-out examples must be valid too.
        let used = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
            _ => line,
        });
        let used: Vec<_> = used.collect();
        for text in [text.to_owned(), used.join("\n")] {
            let layer = Layer::text(name, &text).expect("it is TOML");
            load(&[layer], &[]).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        }
    }
}
