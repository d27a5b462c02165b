//! Finds banned words and phrases, which `xtask/banned-words.txt` lists.

use std::path::Path;

use anyhow::{Context, ensure};

const LIST: &str = "xtask/banned-words.txt";
/// Files with generated or foreign text, and the list itself.
const EXEMPT: &[&str] = &[LIST, "Cargo.lock", "LICENSE"];
const EXTENSIONS: &[&str] =
    &["css", "html", "json", "md", "proto", "py", "rs", "service", "sh", "toml", "ts", "txt", "yaml", "yml"];

pub(crate) struct BannedWords {
    phrases: Vec<Phrase>,
    /// Texts that may contain banned words, such as names of JSON fields.
    exceptions: Vec<String>,
}

struct Phrase {
    words: Vec<String>,
    suggestion: String,
}

/// A word in lower case and the number of its line.
struct Word {
    text: String,
    line: usize,
}

impl BannedWords {
    pub(crate) fn load() -> anyhow::Result<Self> {
        Self::parse(&std::fs::read_to_string(LIST).context(LIST)?)
    }

    /// One `phrase = suggestion` per line; `#` starts a comment, and `!` an exception.
    fn parse(list: &str) -> anyhow::Result<Self> {
        let (mut phrases, mut exceptions) = (Vec::new(), Vec::new());
        for (index, line) in list.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(exception) = line.strip_prefix('!') {
                exceptions.push(exception.trim().to_owned());
                continue;
            }
            let (phrase, suggestion) =
                line.split_once('=').with_context(|| format!("{LIST}:{}: not `phrase = suggestion`", index + 1))?;
            let words: Vec<String> = words(phrase).into_iter().map(|word| word.text).collect();
            ensure!(!words.is_empty(), "{LIST}:{}: no phrase", index + 1);
            phrases.push(Phrase { words, suggestion: suggestion.trim().to_owned() });
        }
        Ok(Self { phrases, exceptions })
    }

    /// A message for each banned phrase in the file.
    pub(crate) fn problems(&self, path: &Path) -> anyhow::Result<Vec<String>> {
        let name = path.display().to_string();
        let has_extension = path.extension().is_none_or(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if EXEMPT.contains(&name.as_str()) || !has_extension {
            return Ok(Vec::new());
        }
        let bytes = std::fs::read(path).with_context(|| name.clone())?;
        Ok(std::str::from_utf8(&bytes).map(|text| self.inspect(&name, text)).unwrap_or_default())
    }

    fn inspect(&self, name: &str, text: &str) -> Vec<String> {
        let text = self.exceptions.iter().fold(text.to_owned(), |text, exception| text.replace(exception, " "));
        let text = words(&text);
        let mut problems = Vec::new();
        for at in 0..text.len() {
            for phrase in &self.phrases {
                let found = text[at..].iter().map(|word| word.text.as_str());
                if found.take(phrase.words.len()).eq(phrase.words.iter().map(String::as_str)) {
                    let (line, phrase, suggestion) = (text[at].line, phrase.words.join(" "), &phrase.suggestion);
                    problems.push(format!("{name}:{line}: avoid \"{phrase}\": {suggestion}"));
                }
            }
        }
        problems
    }
}

/// The words of a text. `snake_case` and `CamelCase` are two words each. Punctuation is skipped,
/// so a phrase is found across line breaks and comment markers.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut previous = ' ';
        for c in line.chars() {
            let is_part = |c: char| c.is_alphabetic() || c == '\'';
            if is_part(c) {
                let starts = !is_part(previous) || (c.is_uppercase() && previous.is_lowercase());
                match words.last_mut().filter(|_| !starts) {
                    Some(word) => word.text.extend(c.to_lowercase()),
                    None => words.push(Word { text: c.to_lowercase().collect(), line: index + 1 }),
                }
            }
            previous = c;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let list = "# comment\n\nfoo = bar\nold phrase = say it plainly\n! \"foo\"\n";
        BannedWords::parse(list).expect("the list is well formed").inspect("a.rs", text)
    }

    #[test]
    fn whole_words_are_found_in_any_case() {
        assert_eq!(found("a\nFoo."), ["a.rs:2: avoid \"foo\": bar"]);
        assert!(found("food, xfoo, \"foo\"").is_empty());
    }

    #[test]
    fn words_inside_identifiers_are_found() {
        assert_eq!(found("fn a_foo_test() {}").len(), 1);
        assert_eq!(found("struct MyFooBar;").len(), 1);
    }

    #[test]
    fn phrases_are_found_across_comment_lines() {
        assert_eq!(found("// an old\n    /// phrase"), ["a.rs:1: avoid \"old phrase\": say it plainly"]);
    }

    #[test]
    fn a_malformed_list_is_refused() {
        assert!(BannedWords::parse("foo\n").is_err());
        assert!(BannedWords::parse(" = bar\n").is_err());
    }
}
