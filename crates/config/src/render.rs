//! Writes the configuration out: the commented reference file, the table of the
//! handbook, and what is in effect.

use std::fmt::Write;

use figment::value::Dict;

use crate::Config;
use crate::check::{shown, walk};
use crate::key::{Allowed, Key};
use crate::keys::KEYS;
use crate::load::{Sections, table};

/// Width to which comments are wrapped.
const COMMENT_COLUMNS: usize = 90;

/// `config/hostler.toml`: every key with its meaning and its default.
#[must_use]
pub fn reference_file() -> String {
    let mut text = String::from(FILE_HEAD);
    let mut section = "";
    for key in KEYS {
        let (of, name) = split(key.path);
        if of != section {
            section = of;
            let _ = write!(text, "\n[{section}]");
        }
        text.push('\n');
        let allowed = format!("{} Allowed: {}.", key.help, key.allowed);
        for line in wrap(&allowed, COMMENT_COLUMNS) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = match default(key) {
            Some(value) => writeln!(text, "{name} = {value}"),
            None if matches!(key.allowed, Allowed::Table(_)) => writeln!(text, "# {name} = {{}}"),
            None if matches!(key.allowed, Allowed::List(_)) => writeln!(text, "{name} = []"),
            None => writeln!(text, "# {name} ="),
        };
    }
    text.push_str(FILE_FOOT);
    text
}

const FILE_HEAD: &str = "\
# Hostler's configuration: every key, with its default. All of them may be left out.
# An environment variable overrules the file (HOSTLER_SERVER__ADDRESS is server.address),
# and an option of the command line overrules both. `hostler config check --config FILE`
# says what is wrong with a file; `hostler config show` says what is in effect.
#
# Written by `cargo xtask docs` from the table in crates/config/src/keys.rs.
";

const FILE_FOOT: &str = "
# [scheduler] holds what all schedulers have in common. With nothing else in the file it
# is the one scheduler. For several, name them, and give each what differs:
#
# [schedulers.small]
# model = \"smollm2-135m-instruct\"
#
# [schedulers.large]
# model = \"/models/large.gguf\"
# device = \"cuda:0\"
# max_batch_size = 64
";

/// The table of `docs/configuration.md`.
#[must_use]
pub fn reference_table() -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        let (of, name) = split(key.path);
        if of != section {
            section = of;
            let _ = writeln!(text, "\n### `[{section}]`\n\n| key | default | allowed | meaning |\n|---|---|---|---|");
        }
        let default = default(key).map_or_else(|| "–".to_owned(), |value| format!("`{value}`"));
        let allowed = key.allowed.to_string().replace('|', "\\|");
        let _ = writeln!(text, "| `{name}` | {default} | {allowed} | {} |", key.help.replace('|', "\\|"));
    }
    text
}

/// The configuration in effect, as TOML. Keys of clients are not shown.
#[must_use]
pub fn effective(config: &Config) -> String {
    let mut text = String::new();
    let sections = [
        ("server".to_owned(), table(&config.server)),
        ("log".to_owned(), table(&config.log)),
        ("tracing".to_owned(), table(&config.tracing)),
        ("models".to_owned(), table(&config.models)),
        ("router".to_owned(), table(&config.router)),
        ("benchmarks".to_owned(), table(&config.benchmarks)),
        ("cluster".to_owned(), table(&config.cluster)),
        ("worker".to_owned(), table(&config.worker)),
    ];
    let schedulers = config
        .schedulers
        .iter()
        .map(|scheduler| (format!("schedulers.{}", scheduler.name), table(&scheduler.settings)));
    for (name, values) in sections.into_iter().chain(schedulers) {
        section(&mut text, &name, &values);
    }
    text.trim_start().to_owned()
}

/// A section's own values first: TOML's tables end where the next begins.
fn section(text: &mut String, name: &str, values: &Dict) {
    let _ = writeln!(text, "\n[{name}]");
    for (key, value) in values.iter().filter(|(_, value)| value.as_dict().is_none()) {
        let _ = writeln!(text, "{key} = {}", shown(value));
    }
    for (key, inner) in values.iter().filter_map(|(key, value)| Some((key, value.as_dict()?))) {
        section(text, &format!("{name}.{key}"), inner);
    }
}

/// A key's default as TOML; `None` where it is left out or empty.
fn default(key: &Key) -> Option<String> {
    let mut found = None;
    walk("", &table(&Sections::default()), &mut |path, value| {
        if path == key.path {
            found = Some(shown(value));
        }
    });
    found
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("it begins with one line, and none is taken away");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
