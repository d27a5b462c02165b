//! The reference file and the handbook against the table of keys.

use hostler_config::{Allowed, KEYS, Key, Layer, load, reference_file, reference_table};

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
fn the_reference_file_says_what_the_defaults_are() {
    let layer = Layer::text("config/hostler.toml", FILE).expect("it is TOML");
    assert_eq!(load(&[layer], &[]).expect("it is valid"), load(&[], &[]).expect("the defaults are valid"));
}

/// A key without a row could hold any value, and nobody could read about it.
#[test]
fn every_key_is_in_the_table_and_every_row_is_a_key() {
    let checked_here = |key: &&Key| !matches!(key.allowed, Allowed::Table(_));
    for key in KEYS.iter().filter(checked_here) {
        let (section, name) = key.path.rsplit_once('.').expect("every key lives in a section");
        let text = format!("[{section}]\n{name} = {{ no_such_key = [] }}");
        let error = load(&[Layer::text("t", &text).expect("it is TOML")], &[]).expect_err("no key takes such a table");
        assert!(!error.to_string().contains("no such key; did you"), "{} is no key: {error}", key.path);
    }
    for line in hostler_config::effective(&load(&[], &[]).expect("the defaults are valid")).lines() {
        let Some((name, _)) = line.split_once(" = ") else { continue };
        assert!(KEYS.iter().any(|key| key.path.rsplit('.').next() == Some(name)), "{name} has no row in KEYS");
    }
}

#[test]
fn the_files_of_the_roles_are_valid() {
    for (name, text) in [
        ("gateway.toml", include_str!("../../../config/cluster/gateway.toml")),
        ("worker.toml", include_str!("../../../config/cluster/worker.toml")),
    ] {
        // What is commented out is meant to be used as well.
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
