//! The tags of a dialect that may be special tokens of a model's vocabulary.

use std::collections::BTreeSet;

use hostler_protocol::Dialect;

use crate::format::{self, Shape};
use crate::parser::{HARMONY, is_harmony};

/// The tags that may be special tokens. Decoders must emit them as text, though they skip other
/// special tokens; a loader looks them up for [`Dialect::special_tokens`].
#[must_use]
pub fn markers(dialect: &Dialect) -> BTreeSet<String> {
    let mut texts: Vec<&str> = Vec::new();
    match dialect.tools.map(format::shape) {
        Some(Shape::Objects(format)) => {
            texts.push(format.open);
            texts.extend(format.close);
        }
        Some(Shape::Named(format)) => {
            texts.extend([format.open, format.name.0, format.name.1, format.separator]);
            texts.extend([format.begin, format.end, format.close].into_iter().flatten());
        }
        Some(Shape::Tagged(format)) => {
            texts.extend([format.open, format.key, format.value_end, format.end]);
            texts.extend([format.begin, format.value, format.close].into_iter().flatten());
            texts.extend(format.key_ends.iter().map(|(end, _)| *end));
        }
        Some(Shape::Harmony) | None => {}
    }
    if is_harmony(dialect) {
        texts.extend(HARMONY);
    }
    if let Some(tags) = dialect.reasoning.and_then(format::tags) {
        texts.extend([tags.open, tags.close]);
        texts.extend(tags.answer);
    }
    texts.into_iter().flat_map(in_brackets).collect()
}

/// The parts in brackets: `<…>` and `[…]`. DSML is a token within tags.
fn in_brackets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in [('<', '>'), ('[', ']'), ('｜', '｜')] {
        let mut rest = text;
        while let Some(begin) = rest.find(open) {
            let after = begin + open.len_utf8();
            let Some(end) = rest[after..].find(close).map(|end| after + end + close.len_utf8()) else { break };
            found.push(rest[begin..end].to_owned());
            rest = &rest[end..];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use hostler_protocol::{ReasoningFormat, ToolFormat};

    use super::*;

    #[test]
    fn markers_are_single_tags() {
        let dialect = Dialect { tools: Some(ToolFormat::DeepSeekV3), ..Dialect::default() };
        let found = markers(&dialect);
        assert!(found.contains("<｜tool▁call▁begin｜>") && found.contains("<｜tool▁sep｜>"), "{found:?}");
        let dialect = Dialect { reasoning: Some(ReasoningFormat::ThinkTags), ..Dialect::default() };
        assert_eq!(markers(&dialect).into_iter().collect::<Vec<_>>(), ["</think>", "<think>"]);
        let dialect = Dialect { tools: Some(ToolFormat::Mistral), ..Dialect::default() };
        assert_eq!(markers(&dialect).into_iter().collect::<Vec<_>>(), ["[ARGS]", "[CALL_ID]", "[TOOL_CALLS]"]);
        assert!(markers(&Dialect::default()).is_empty());
    }
}
