//! Calls that are malformed or cut.

mod common;

use common::{Answer, dialect, parse_all_ways};
use hostler_protocol::ToolFormat;

fn answer(format: ToolFormat, text: &str) -> Answer {
    parse_all_ways(&dialect(Some(format), None), false, text)
}

fn called(arguments: &str, content: &str, cut: bool) -> Answer {
    let calls = vec![("get_weather".to_owned(), arguments.to_owned())];
    Answer { reasoning: String::new(), content: content.to_owned(), calls, cut }
}

fn plain(content: &str, cut: bool) -> Answer {
    Answer { content: content.to_owned(), cut, ..Answer::default() }
}

#[test]
fn text_of_a_call_without_a_name_is_content() {
    for (format, text) in [
        (ToolFormat::Hermes, "Hm.\n <tool_call>\n{\"arguments\": {}}</tool_call> So?"),
        (ToolFormat::Hermes, "<tool_call>get_weather(city)</tool_call>"),
        (ToolFormat::Hermes, "<tool_call>\n<tool_ca</tool_call>"),
        (ToolFormat::Hermes, "<tool_call>{\"name\": 1}</tool_call>"),
        (ToolFormat::Hermes, "<tool_call></tool_call>"),
        (ToolFormat::Mistral, "[TOOL_CALLS][{\"name\": \"get_weather\"}] [ARGS] x"),
        (ToolFormat::MistralArray, "[TOOL_CALLS] get_weather[ARGS]{}"),
        (ToolFormat::Qwen3Coder, "<tool_call>{\"name\": \"get_weather\"}</tool_call>"),
        (ToolFormat::Glm, "<tool_call>{\"name\": \"get_weather\"}</tool_call>"),
        (ToolFormat::KimiK2, "<|tool_calls_section_begin|><|tool_calls_section_end|>"),
        (ToolFormat::Llama3Json, "<|python_tag|>import os"),
    ] {
        assert_eq!(answer(format, text), plain(text, false), "{text}");
    }
}

#[test]
fn a_tag_behind_a_malformed_call_begins_a_call() {
    let call = "<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>";
    let found = answer(ToolFormat::Hermes, &format!("<tool_call>\n{call}"));
    assert_eq!(found, called("{}", "<tool_call>\n", false));
}

#[test]
fn an_answer_in_json_is_no_call_of_llama() {
    for text in [
        "{\"city\": \"Nara\"}",
        "{\"name\": \"Nara\", \"days\": 2}",
        "{\"name\": \"Nara\", \"parameters\": {}}",
        "{}",
        "Look: {\"name\": \"get_weather\", \"parameters\": {}}",
        "{\"type\": \"function\"}",
        " {1}",
    ] {
        assert_eq!(answer(ToolFormat::Llama3Json, text), plain(text, false), "{text}");
    }
}

#[test]
fn a_call_that_is_cut_is_reported() {
    for (format, text) in [
        (ToolFormat::Hermes, "A <tool_call>\n{\"name\": \"get_wea"),
        (ToolFormat::Mistral, "[TOOL_CALLS]get_weather[AR"),
        (ToolFormat::Qwen3Coder, "<tool_call>\n<function=get_weather"),
    ] {
        assert_eq!(answer(format, text), plain(text, true), "{text}");
    }
    for (format, text, arguments) in [
        (
            ToolFormat::Hermes,
            "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Ky",
            "{\"city\": \"Ky",
        ),
        (ToolFormat::Mistral, "[TOOL_CALLS]get_weather[ARGS]{\"city", "{\"city"),
        (ToolFormat::Harmony, " to=functions.get_weather<|channel|>commentary<|message|>{\"city", "{\"city"),
        (
            ToolFormat::Qwen3Coder,
            "<tool_call>\n<function=get_weather>\n<parameter=city>\nKy\n</param",
            "{\"city\": \"Ky\\n</param",
        ),
        (ToolFormat::Qwen3Coder, "<tool_call>\n<function=get_weather>\n<parameter=days>\n1", "{\"days\": \n1"),
    ] {
        assert_eq!(answer(format, text), called(arguments, "", true), "{text}");
    }
}

#[test]
fn a_complete_call_without_its_closing_tag_is_complete() {
    for (format, text) in [
        (ToolFormat::Hermes, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}}\n</tool_c"),
        (ToolFormat::Hermes, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}"),
        (ToolFormat::Hermes, "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}</tool_call>"),
        (ToolFormat::MistralArray, "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {}, "),
        (
            ToolFormat::DeepSeekV3,
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{}\n``",
        ),
    ] {
        assert_eq!(answer(format, text), called("{}", "", false), "{text}");
    }
}

#[test]
fn arguments_of_a_malformed_call_are_passed_on() {
    let text = "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": Nara</tool_call> So.";
    assert_eq!(answer(ToolFormat::Hermes, text), called("{\"city\": Nara", "So.", false));
    // A closing tag in a string is part of the string.
    let text = "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"</tool_call>\"}}</tool_call>";
    assert_eq!(answer(ToolFormat::Hermes, text), called("{\"city\": \"</tool_call>\"}", "", false));
}

#[test]
fn text_between_tagged_arguments_ends_the_call() {
    let text = "<tool_call>\n<function=get_weather>\n<parameter=city>\nNara\n</parameter>\n So!";
    assert_eq!(answer(ToolFormat::Qwen3Coder, text), called("{\"city\": \"Nara\"}", "\n So!", false));
}

#[test]
fn text_behind_calls_is_content() {
    let text = "{\"name\": \"get_weather\", \"parameters\": {}}; So";
    assert_eq!(answer(ToolFormat::Llama3Json, text), called("{}", "; So", false));
    let text = "[TOOL_CALLS]get_weather[ARGS]{} So";
    assert_eq!(answer(ToolFormat::Mistral, text), called("{}", "So", false));
}

#[test]
fn a_head_without_end_is_content_after_a_bound() {
    let text = format!("<tool_call>{{\"x\": \"{}", "y".repeat(17 * 1024));
    let found = hostler_dialect_pieces(&text);
    assert_eq!(found, plain(&text, false));
}

/// Cutting this text everywhere takes too long.
fn hostler_dialect_pieces(text: &str) -> Answer {
    common::parse(&dialect(Some(ToolFormat::Hermes), None), false, [text])
}
