//! Checks of constrained answers.

use hostler_protocol::{Constraint, ErrorCode, FinishReason};

use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

/// A chain of this many rules, each of which refers to the next, overflows the usual 2 MiB
/// of a thread's stack several times over.
const DEPTH: usize = 4_000;

/// Whether a text satisfies the constraint.
type IsSatisfied = fn(&str) -> bool;

/// Constraints, each with a function that recognises its answers.
fn constraints() -> [(Constraint, IsSatisfied); 3] {
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

pub(super) fn satisfied(subject: &Subject) -> Result<(), Violation> {
    for (constraint, is_satisfied) in constraints() {
        if !subject.description().capabilities.constraints {
            must_reject(subject, constraint)?;
            continue;
        }
        let compiled = match subject.compile(constraint.clone())? {
            Ok(compiled) => compiled,
            Err(error) => return Err(Violation(format!("{constraint:?} is rejected: {error}"))),
        };
        let mut sequence = subject.greedy(0)?;
        sequence.stop.ignore_eos = false;
        sequence.max_new_tokens = 128;
        sequence.constraint = Some(compiled);
        let neighbours = subject.greedy_all()?;
        let together = std::iter::once(sequence).chain(neighbours).collect();
        let completed = &subject.run_together(together)?[0];
        ensure!(completed.finish.reason == FinishReason::Stop, "{constraint:?} never ends: {:?}", completed.text());
        ensure!(is_satisfied(&completed.text()), "{constraint:?} gives {:?}", completed.text());
    }
    Ok(())
}

pub(super) fn rejected(subject: &Subject) -> Result<(), Violation> {
    for constraint in [
        Constraint::JsonSchema("{\"type\":".into()),
        Constraint::JsonSchema("{\"type\":\"no such type\"}".into()),
        Constraint::Regex("(unclosed".into()),
        Constraint::Lark("start: missing_rule".into()),
    ] {
        must_reject(subject, constraint)?;
    }
    Ok(())
}

/// Grammars of a few kilobytes that recurse deeply, and schemas of a few bytes with huge
/// automata. The engine may compile or reject them, but they must end neither the process
/// nor the engine.
pub(super) fn survived(subject: &Subject) -> Result<(), Violation> {
    let rule = |index: usize| format!("r{index}: r{}\n", index + 1);
    let rules: String = (0..DEPTH).map(rule).collect();
    let reference = |index: usize| format!(r##""d{index}":{{"$ref":"#/$defs/d{}"}},"##, index + 1);
    let references: String = (0..DEPTH / 3).map(reference).collect();
    for constraint in [
        Constraint::Lark(format!("start: r0\n{rules}r{DEPTH}: \"x\"\n")),
        Constraint::JsonSchema(format!(
            r##"{{"$ref":"#/$defs/d0","$defs":{{{references}"d{}":{{"type":"null"}}}}}}"##,
            DEPTH / 3
        )),
        Constraint::JsonSchema(r#"{"type":"number","multipleOf":4999999}"#.into()),
        Constraint::JsonSchema(
            r#"{"allOf":[{"type":"integer","multipleOf":997},{"type":"integer","multipleOf":991}]}"#.into(),
        ),
        Constraint::Regex("(.|\n)*(word)?".repeat(3_000)),
    ] {
        let what = format!("{:.60}… is rejected", format!("{constraint:?}"));
        if let Err(error) = subject.compile(constraint)? {
            ensure!(error.code == ErrorCode::InvalidRequest, "{what} as {error:?}");
            ensure!(error.message.len() < 1_000, "{what} with a message of {} bytes", error.message.len());
        }
    }
    subject.run(subject.greedy(0)?).map(drop)
}

fn must_reject(subject: &Subject, constraint: Constraint) -> Result<(), Violation> {
    let (what, param) = (format!("{constraint:?}"), constraint.param());
    match subject.compile(constraint)? {
        Err(error) if error.code == ErrorCode::InvalidRequest => {
            ensure!(error.param.as_deref() == Some(param), "{what}: the rejection names {:?}", error.param);
            ensure!(!error.message.is_empty(), "{what}: the rejection gives no reason");
            Ok(())
        }
        other => Err(Violation(format!("{what} must be rejected as an invalid request, but gave {other:?}"))),
    }
}
