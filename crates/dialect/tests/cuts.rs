//! Properties of the parser: what it finds does not depend on how an answer is cut, no text is
//! lost, and nothing of a tag leaks.

mod common;

use common::{Answer, dialect, parse, parse_all_ways};
use hostler_dialect::{describe, is_described, markers, render_calls};
use hostler_protocol::{Dialect, ReasoningFormat, ToolFormat};
use proptest::prelude::*;

/// What answers may be made of, besides a format's tags.
const PIECES: [&str; 24] = [
    "{\"name\": \"get_weather\", \"arguments\": ",
    "{\"name\": \"stop\", \"parameters\": ",
    "{\"city\": \"Nara\"}",
    "}",
    "{\"days\": 2",
    "\"a\\\"b\"",
    "get_weather",
    "functions.stop:0",
    "[",
    "]",
    ", ",
    ";",
    "\n",
    "  ",
    "<",
    "</",
    "[TOOL",
    "<think>",
    "</think>",
    "It rains. ",
    "ō",
    "\n```json\n",
    " to=functions.stop",
    "city",
];

/// The tags of a format, and those that are not special tokens.
fn tags(dialect: &Dialect) -> Vec<String> {
    let tags = ["<function=", "<parameter=", ">", "<invoke name=\"", "<parameter name=\"", "\">", "functools"];
    markers(dialect).into_iter().chain(tags.map(str::to_owned)).collect()
}

fn format() -> impl Strategy<Value = Dialect> {
    let reasoning = prop::option::of(prop::sample::select(ReasoningFormat::ALL));
    (prop::sample::select(ToolFormat::ALL), reasoning).prop_map(|(tools, reasoning)| dialect(Some(tools), reasoning))
}

/// A dialect and an answer of its tags and other pieces.
fn answer() -> impl Strategy<Value = (Dialect, String)> {
    format().prop_flat_map(|dialect| {
        let tags = prop::sample::select(tags(&dialect));
        let piece = prop_oneof![tags, prop::sample::select(&PIECES[..]).prop_map(str::to_owned)];
        let text = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
        (Just(dialect), text)
    })
}

/// The text in pieces that end at these places.
fn cut<'a>(text: &'a str, places: &[prop::sample::Index]) -> Vec<&'a str> {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut places: Vec<usize> = places.iter().map(|place| ends[place.index(ends.len())]).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// Text without tags.
fn words() -> impl Strategy<Value = String> {
    prop::collection::vec("[a-zA-Zō.,{}\"<>/ \n]{1,8}", 1..6).prop_map(|words| format!("w{}w", words.concat()))
}

/// A call that is rendered as in Hermes: the city and the days.
fn call() -> impl Strategy<Value = String> {
    ("[a-zō\"\\\\<>{}/ \n]{0,12}", 0..9_u32)
        .prop_map(|(city, days)| serde_json::json!({"city": city, "days": days}).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cuts_do_not_matter(
        (dialect, text) in answer(),
        starts_in_reasoning: bool,
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let whole = parse(&dialect, starts_in_reasoning, [text.as_str()]);
        prop_assert_eq!(parse(&dialect, starts_in_reasoning, cut(&text, &places)), whole);
    }

    #[test]
    fn text_without_tags_is_content(dialect in format(), text in words()) {
        let found = parse(&dialect, false, [text.as_str()]);
        prop_assert_eq!(found, Answer { content: text, ..Answer::default() });
    }

    #[test]
    fn no_text_is_lost_and_no_tag_leaks(
        reasoning in prop::option::of(words()),
        content in prop::option::of(words()),
        calls in prop::collection::vec(call(), 0..4),
    ) {
        let rendered = render_calls("", calls.iter().map(|arguments| ("get_weather", arguments.as_str())));
        let thought = reasoning.as_ref().map_or(String::new(), |text| format!("<think>\n{text}\n</think>\n\n"));
        let text = format!("{thought}{}\n{rendered}", content.as_deref().unwrap_or_default());
        let format = dialect(Some(ToolFormat::Hermes), Some(ReasoningFormat::ThinkTags));
        let found = parse(&format, false, [text.as_str()]);
        prop_assert_eq!(found.reasoning, reasoning.unwrap_or_default());
        prop_assert_eq!(found.content.trim(), content.unwrap_or_default());
        prop_assert_eq!(found.calls.len(), calls.len());
        for ((name, arguments), expected) in found.calls.iter().zip(&calls) {
            prop_assert_eq!(name, "get_weather");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
            prop_assert_eq!(value(arguments), value(expected));
        }
        prop_assert!(!found.cut);
    }

    #[test]
    fn values_between_tags_are_passed_on(value in "[a-zō\"\\\\<>{}/ \n0-9]{0,20}") {
        let format = dialect(Some(ToolFormat::Qwen3Coder), None);
        for key in ["city", "days", "places", "other"] {
            let text = format!(
                "<tool_call>\n<function=get_weather>\n<parameter={key}>\n{value}\n</parameter>\n</function>\n</tool_call>"
            );
            let found = parse(&format, false, [text.as_str()]);
            let arguments: serde_json::Value = serde_json::from_str(&found.calls[0].1).expect("it is JSON");
            let read = arguments[key].as_str();
            if key == "city" {
                prop_assert_eq!(read, Some(value.as_str()));
            } else if let Ok(value) = serde_json::from_str::<serde_json::Value>(&value) {
                prop_assert_eq!(&arguments[key], &value);
            } else {
                prop_assert_eq!(read, Some(value.as_str()));
            }
        }
    }
}

#[test]
fn a_description_names_the_tags_that_are_parsed() {
    let text = describe(&common::tools());
    assert!(text.contains("<tool_call>\n") && text.contains("\n</tool_call>"), "{text}");
    // Without a format of its own, or without a template that renders tools.
    for format in [Dialect::default(), Dialect { tools: Some(ToolFormat::Mistral), ..Dialect::default() }] {
        assert!(is_described(&format));
        let found = parse_all_ways(&format, false, &render_calls("So.", [("stop", "{}")]));
        assert_eq!((found.content.as_str(), found.calls), ("So.", vec![("stop".to_owned(), "{}".to_owned())]));
    }
    assert!(!is_described(&dialect(Some(ToolFormat::Mistral), None)));
}
