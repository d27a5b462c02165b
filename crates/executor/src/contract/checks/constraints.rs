//! Answers in a given form.

use hostler_protocol::{Constraint, FinishReason};

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// Whether an answer has the form.
type IsKept = fn(&str) -> bool;

/// The forms, and how their answers are told.
fn forms() -> [(Constraint, IsKept); 3] {
    let schema = r#"{"type":"object","properties":{"ripe":{"type":"boolean"},"colour":{"enum":["red","green"]}},
        "required":["ripe","colour"],"additionalProperties":false}"#;
    [
        (Constraint::JsonSchema(schema.into()), is_fruit),
        (Constraint::Regex("(yes|no), [0-9]{3}".into()), is_vote),
        (Constraint::Lark("start: \"red\" | \"green\"".into()), |text| text == "red" || text == "green"),
    ]
}

fn is_fruit(text: &str) -> bool {
    let Ok(serde_json::Value::Object(fruit)) = serde_json::from_str(text) else { return false };
    let colour = fruit.get("colour").and_then(serde_json::Value::as_str);
    fruit.len() == 2
        && fruit.get("ripe").is_some_and(serde_json::Value::is_boolean)
        && matches!(colour, Some("red" | "green"))
}

fn is_vote(text: &str) -> bool {
    let number = text.strip_prefix("yes, ").or_else(|| text.strip_prefix("no, "));
    number.is_some_and(|number| number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn kept(subject: &Subject) -> Result<(), Violation> {
    for (constraint, is_kept) in forms() {
        let mut sequence = subject.greedy(0)?;
        sequence.stop.ignore_eos = false;
        sequence.max_new_tokens = 128;
        sequence.constraint = Some(constraint.clone());
        if !subject.description().capabilities.constraints {
            subject.must_refuse("a constraint, where none is declared", sequence)?;
            continue;
        }
        let neighbours = subject.greedy_all()?;
        let together = std::iter::once(sequence).chain(neighbours).collect();
        let completed = &subject.run_together(together)?[0];
        ensure!(completed.finish.reason == FinishReason::Stop, "{constraint:?} never ends: {:?}", completed.text());
        ensure!(is_kept(&completed.text()), "{constraint:?} gives {:?}", completed.text());
    }
    Ok(())
}

pub(super) fn refused(subject: &Subject) -> Result<(), Violation> {
    for constraint in [
        Constraint::JsonSchema("{\"type\":".into()),
        Constraint::JsonSchema("{\"type\":\"no such type\"}".into()),
        Constraint::Regex("(unclosed".into()),
        Constraint::Lark("start: missing_rule".into()),
    ] {
        let mut sequence = subject.greedy(0)?;
        sequence.constraint = Some(constraint.clone());
        subject.must_refuse(&format!("{constraint:?}"), sequence)?;
    }
    Ok(())
}
