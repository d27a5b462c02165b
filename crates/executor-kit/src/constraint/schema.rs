//! Limits of JSON schemas that llguidance does not enforce.

use std::collections::BTreeSet;

use serde_json::{Deserializer, Map, Number, Value};

/// `multipleOf` is compiled to a state for each remainder, and the numbers of states of
/// several `multipleOf` for one value multiply. This many states take about 0.15 s and 12 MB
/// (measured: 7 µs and 450 bytes each). llguidance's fuel does not count them.
const REMAINDERS_MAX: u64 = 20_000;

/// Whitespace between two tokens of JSON: enough for a line break and seven levels of four
/// spaces. A small model would else fill its whole answer with whitespace.
const WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,32}";

/// Bounds whitespace, unless the schema has options of llguidance's own (`x-guidance`) for it.
pub(super) fn bound_whitespace(schema: &mut Value) {
    let Value::Object(schema) = schema else { return };
    let options = schema.entry("x-guidance").or_insert_with(|| Value::Object(Map::new()));
    // What is not an object is refused by the compiler.
    if let Value::Object(options) = options
        && !options.contains_key("whitespace_pattern")
        && options.get("whitespace_flexible") != Some(&Value::Bool(false))
    {
        options.insert("whitespace_pattern".to_owned(), WHITESPACE.into());
    }
}

/// Rejects a schema whose `multipleOf` values need too many states.
///
/// # Errors
/// The reason, for the client.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut divisors = BTreeSet::new();
    collect_divisors(schema, &mut divisors)?;
    // Which of them apply to the same value is only known after compilation; assume all.
    let remainders = divisors.iter().try_fold(1_u64, |product, &divisor| product.checked_mul(divisor));
    match remainders {
        Some(remainders) if remainders <= REMAINDERS_MAX => Ok(()),
        _ => Err(format!(
            "the product of its multipleOf values, without decimal points and trailing zeros, is above {REMAINDERS_MAX}"
        )),
    }
}

/// The same for the schemas within a Lark grammar (`%json {…}`).
///
/// # Errors
/// The reason, for the client.
pub(super) fn check_in_lark(grammar: &str) -> Result<(), String> {
    for (index, keyword) in grammar.match_indices("%json") {
        let rest = &grammar[index + keyword.len()..];
        // The grammar's own parser rejects invalid JSON.
        if let Some(Ok(schema)) = Deserializer::from_str(rest).into_iter::<Value>().next() {
            check(&schema)?;
        }
    }
    Ok(())
}

fn collect_divisors(schema: &Value, divisors: &mut BTreeSet<u64>) -> Result<(), String> {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Number(divisor)) = members.get("multipleOf") {
                divisors
                    .insert(coefficient(divisor).ok_or_else(|| format!("multipleOf {divisor} has too many digits"))?);
            }
            members.values().try_for_each(|member| collect_divisors(member, divisors))
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_divisors(item, divisors)),
        _ => Ok(()),
    }
}

/// The digits without decimal point and trailing zeros: 25 for 250, 0.25 and 2.5e3.
fn coefficient(number: &Number) -> Option<u64> {
    let text = number.to_string();
    let mantissa = text.split(['e', 'E']).next().unwrap_or(&text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() { Some(1) } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(schema: &str) -> Result<(), String> {
        check(&serde_json::from_str(schema).expect("it is JSON"))
    }

    #[test]
    fn divisors_with_too_many_remainders_are_rejected() {
        for valid in [
            r#"{"multipleOf": 0.01}"#,
            r#"{"properties": {"a": {"multipleOf": 0.25}, "b": {"multipleOf": 100}, "c": {"multipleOf": 12}}}"#,
            r#"{"properties": {"a": {"multipleOf": 997}, "b": {"multipleOf": 997}}}"#,
            r#"{"properties": {"multipleOf": {"type": "string"}}}"#,
            r#"{"multipleOf": 0}"#,
        ] {
            assert_eq!(checked(valid), Ok(()), "{valid}");
        }
        for invalid in [
            r#"{"multipleOf": 20001}"#,
            r#"{"multipleOf": 1.00003}"#,
            r#"{"multipleOf": 12345678901234567890123}"#,
            r#"{"allOf": [{"multipleOf": 997}, {"items": {"multipleOf": 991}}]}"#,
        ] {
            assert!(checked(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn schemas_in_a_lark_grammar_are_checked() {
        let lark = |divisor: u32| format!("start: \"[\" n \"]\"\nn: %json {{\"multipl\\u0065Of\": {divisor}}}\n");
        assert_eq!(check_in_lark(&lark(7)), Ok(()));
        assert!(check_in_lark(&lark(20_001)).is_err());
    }
}
