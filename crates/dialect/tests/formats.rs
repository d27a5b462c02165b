//! Answers that follow each format's published definition, which each test names.
//!
//! "Template" is the chat template in the model's repository; it renders calls of earlier turns
//! as the model writes them.

mod common;

use common::{Answer, dialect, parse, parse_all_ways, tools};
use hostler_dialect::Parser;
use hostler_protocol::{Dialect, ReasoningFormat, ToolFormat};
use serde_json::{Value, json};

/// The calls in an answer that has nothing else.
fn calls(format: ToolFormat, text: &str) -> Vec<(String, Value)> {
    let answer = parse_all_ways(&dialect(Some(format), None), false, text);
    assert_eq!((answer.content.as_str(), answer.reasoning.as_str(), answer.cut), ("", "", false));
    let arguments = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| panic!("{text} is no JSON"));
    answer.calls.iter().map(|(name, text)| (name.clone(), arguments(text))).collect()
}

fn weather(city: &str, days: u32) -> (String, Value) {
    ("get_weather".to_owned(), json!({"city": city, "days": days}))
}

fn two() -> Vec<(String, Value)> {
    vec![weather("Kyōto", 2), weather("Nara", 3)]
}

/// Hermes 3, "Hermes Function Calling" (repository); Qwen 2.5 and Qwen 3, template.
#[test]
fn hermes() {
    let text = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Kyōto\", \"days\": 2}}\n</tool_call>\n\
                <tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Nara\", \"days\": 3}}\n</tool_call>";
    assert_eq!(calls(ToolFormat::Hermes, text), two());
    // Hermes 2 writes the arguments first.
    let text = "<tool_call>{\"arguments\": {\"city\": \"Nara\", \"days\": 3}, \"name\": \"get_weather\"}</tool_call>";
    assert_eq!(calls(ToolFormat::Hermes, text), [weather("Nara", 3)]);
}

/// Llama 3.1, "Model Cards and Prompt Formats", JSON based tool calling; template.
#[test]
fn llama3_json() {
    let first = "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Kyōto\", \"days\": 2}}";
    let second =
        "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Nara\", \"days\": 3}}";
    assert_eq!(calls(ToolFormat::Llama3Json, first), [weather("Kyōto", 2)]);
    assert_eq!(calls(ToolFormat::Llama3Json, &format!("{first}; {second}")), two());
    assert_eq!(calls(ToolFormat::Llama3Json, &format!("<|python_tag|>{first};{second}")), two());
}

/// mistral-common, tokenizers of version 11 and 13 (`InstructTokenizerV11`, `InstructTokenizerV13`);
/// Mistral Small 3.2 and Devstral, template.
#[test]
fn mistral() {
    let text = "[TOOL_CALLS]get_weather[CALL_ID]abcdefghi[ARGS]{\"city\": \"Kyōto\", \"days\": 2}\
                [TOOL_CALLS]get_weather[ARGS]{\"city\": \"Nara\", \"days\": 3}";
    assert_eq!(calls(ToolFormat::Mistral, text), two());
}

/// mistral-common, tokenizers of version 3 (`InstructTokenizerV3`); Mistral Nemo, template.
#[test]
fn mistral_array() {
    let text = "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Kyōto\", \"days\": 2}, \"id\": \"abcdefghi\"}, \
                {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Nara\", \"days\": 3}, \"id\": \"abcdefghj\"}]";
    assert_eq!(calls(ToolFormat::MistralArray, text), two());
}

/// OpenAI, "OpenAI Harmony Response Format", receiving tool calls; gpt-oss, template.
#[test]
fn harmony() {
    let format = dialect(Some(ToolFormat::Harmony), Some(ReasoningFormat::Harmony));
    let text = "<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant<|channel|>commentary<|message|>\
                I will look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json\
                <|message|>{\"city\":\"Kyōto\"}<|call|>";
    let expected = Answer {
        reasoning: "Look it up.".to_owned(),
        content: "I will look.".to_owned(),
        calls: vec![("get_weather".to_owned(), "{\"city\":\"Kyōto\"}".to_owned())],
        cut: false,
    };
    assert_eq!(parse_all_ways(&format, false, text), expected);
    // The engine does not return the token that ends an answer.
    assert_eq!(parse_all_ways(&format, false, text.trim_end_matches("<|call|>")), expected);
    // The template writes the recipient before the channel.
    let text = " to=functions.get_weather<|channel|>commentary json<|message|>{\"city\": \"Nara\", \"days\": 3}";
    assert_eq!(calls(ToolFormat::Harmony, text), [weather("Nara", 3)]);
    let answer = parse_all_ways(&format, false, "<|channel|>final<|message|>It rains.");
    assert_eq!((answer.content.as_str(), answer.calls.len()), ("It rains.", 0));
    assert_eq!(parse_all_ways(&format, false, "It rains.").content, "It rains.");
}

/// Qwen3-Coder, template and `qwen3coder_tool_parser.py` in the model's repository.
#[test]
fn qwen3_coder() {
    let text = "<tool_call>\n<function=get_weather>\n<parameter=city>\nKyōto\n</parameter>\n<parameter=days>\n2\n</parameter>\n\
                </function>\n</tool_call>\n<tool_call>\n<function=get_weather>\n<parameter=city>\nNara\n</parameter>\n\
                <parameter=days>\n3\n</parameter>\n</function>\n</tool_call>";
    assert_eq!(calls(ToolFormat::Qwen3Coder, text), two());
}

#[test]
fn values_between_tags_become_json_by_the_schema() {
    let text = "<tool_call>\n<function=get_weather>\n<parameter=city>\n\n42 \"a\"\n<b>\n\n</parameter>\n\
                <parameter=hourly>\nTrue\n</parameter>\n<parameter=places>\n[\"x\", \"y\"]\n</parameter>\n\
                <parameter=days>\na few\n</parameter>\n<parameter=other>\n{\"a\": 1}\n</parameter>\n</function>\n</tool_call>";
    let arguments =
        json!({"city": "\n42 \"a\"\n<b>\n", "hourly": true, "places": ["x", "y"], "days": "a few", "other": {"a": 1}});
    assert_eq!(calls(ToolFormat::Qwen3Coder, text), [("get_weather".to_owned(), arguments)]);
    for (value, expected) in [("42", json!("42")), ("None", json!(null)), ("null", json!(null)), ("", json!(""))] {
        let text = format!("<tool_call>get_weather<arg_key>note</arg_key><arg_value>{value}</arg_value></tool_call>");
        assert_eq!(calls(ToolFormat::Glm, &text), [("get_weather".to_owned(), json!({"note": expected}))]);
    }
    let text = "<tool_call>\n<function=stop>\n</function>\n</tool_call>";
    assert_eq!(calls(ToolFormat::Qwen3Coder, text), [("stop".to_owned(), json!({}))]);
}

/// Seed-OSS, template.
#[test]
fn seed_oss() {
    let text = "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Kyōto</parameter>\n<parameter=days>2</parameter>\n\
                </function>\n</seed:tool_call>\n<seed:tool_call>\n<function=get_weather>\n<parameter=city>Nara</parameter>\n\
                <parameter=days>3</parameter>\n</function>\n</seed:tool_call>";
    assert_eq!(calls(ToolFormat::SeedOss, text), two());
}

/// DeepSeek V3 and R1, template.
#[test]
fn deepseek_v3() {
    let text = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Kyōto\", \"days\": 2}\n\
                ```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Nara\", \"days\": 3}\n\
                ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    assert_eq!(calls(ToolFormat::DeepSeekV3, text), two());
}

/// DeepSeek V3.1, model card, "ToolCall"; template.
#[test]
fn deepseek_v31() {
    let text = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Kyōto\", \"days\": 2}<｜tool▁call▁end｜>\
                <｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Nara\", \"days\": 3}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    assert_eq!(calls(ToolFormat::DeepSeekV31, text), two());
}

/// DeepSeek V3.2 and V4, templates.
#[test]
fn deepseek_dsml() {
    for (format, section) in [(ToolFormat::DeepSeekV32, "function_calls"), (ToolFormat::DeepSeekV4, "tool_calls")] {
        let call = |city: &str, days: u32| {
            format!(
                "<｜DSML｜invoke name=\"get_weather\">\n<｜DSML｜parameter name=\"city\" string=\"true\">{city}</｜DSML｜parameter>\n\
                 <｜DSML｜parameter name=\"days\" string=\"false\">{days}</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
            )
        };
        let text = format!("<｜DSML｜{section}>\n{}{}</｜DSML｜{section}>", call("Kyōto", 2), call("Nara", 3));
        assert_eq!(calls(format, &text), two());
    }
}

/// GLM 4.6 (with line breaks) and GLM 4.7 (without), templates.
#[test]
fn glm() {
    let text = "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Kyōto</arg_value>\n<arg_key>days</arg_key>\n\
                <arg_value>2</arg_value>\n</tool_call>\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Nara</arg_value>\
                <arg_key>days</arg_key><arg_value>3</arg_value></tool_call>";
    assert_eq!(calls(ToolFormat::Glm, text), two());
    assert_eq!(calls(ToolFormat::Glm, "<tool_call>stop\n</tool_call>"), [("stop".to_owned(), json!({}))]);
}

/// Kimi K2, "Tool Calling" (`docs/tool_call_guidance.md` in the repository); template.
#[test]
fn kimi_k2() {
    let text = "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>\
                {\"city\": \"Kyōto\", \"days\": 2}<|tool_call_end|><|tool_call_begin|>functions.get_weather:1\
                <|tool_call_argument_begin|>{\"city\": \"Nara\", \"days\": 3}<|tool_call_end|><|tool_calls_section_end|>";
    assert_eq!(calls(ToolFormat::KimiK2, text), two());
}

/// The array that Phi-4 mini (vLLM, `phi4mini_tool_parser.py`), Granite 3.3, Apriel 1.5, Nemotron
/// Nano 2 (templates) write behind different tags.
#[test]
fn arrays() {
    let array = "[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Kyōto\", \"days\": 2}}, \
                 {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Nara\", \"days\": 3}}]";
    assert_eq!(calls(ToolFormat::Phi4, &format!("functools{array}")), two());
    assert_eq!(calls(ToolFormat::Granite3, &format!("<|tool_call|>{array}")), two());
    assert_eq!(calls(ToolFormat::Apriel, &format!("<tool_calls>{array}</tool_calls>\n")), two());
    assert_eq!(calls(ToolFormat::Nemotron, &format!("<TOOLCALL>{array}</TOOLCALL>")), two());
}

/// MiniMax M1 and M2, "Tool calling guide" (`docs/` in the repositories); templates.
#[test]
fn minimax() {
    let text = "<tool_calls>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Kyōto\", \"days\": 2}}\n\
                {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Nara\", \"days\": 3}}\n</tool_calls>";
    assert_eq!(calls(ToolFormat::MiniMaxM1, text), two());
    let text = "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Kyōto</parameter>\n\
                <parameter name=\"days\">2</parameter>\n</invoke>\n<invoke name=\"get_weather\">\n\
                <parameter name=\"city\">Nara</parameter>\n<parameter name=\"days\">3</parameter>\n</invoke>\n</minimax:tool_call>";
    assert_eq!(calls(ToolFormat::MiniMaxM2, text), two());
}

/// Command R7B, template.
#[test]
fn cohere() {
    let text = "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Kyōto\", \
                \"days\": 2}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Nara\", \
                \"days\": 3}}\n]<|END_ACTION|>";
    assert_eq!(calls(ToolFormat::Cohere, text), two());
    let text = "<|START_THINKING|>Think.<|END_THINKING|><|START_RESPONSE|>It rains.<|END_RESPONSE|>";
    let answer = parse_all_ways(&dialect(Some(ToolFormat::Cohere), Some(ReasoningFormat::Cohere)), false, text);
    assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("Think.", "It rains."));
}

/// Solar Open, MiniCPM 5, Functionary 3.1, GigaChat 3.1 and Apertus, templates.
#[test]
fn others() {
    let text = "<|tool_calls|><|tool_call:begin|>abcdefghi<|tool_call:name|>get_weather<|tool_call:args|>{\"city\": \"Kyōto\", \"days\": 2}\
                <|tool_call:end|><|tool_call:begin|>abcdefghj<|tool_call:name|>get_weather<|tool_call:args|>{\"city\": \"Nara\", \"days\": 3}\
                <|tool_call:end|><|calls|>";
    assert_eq!(calls(ToolFormat::Solar, text), two());
    let text = "<function name=\"get_weather\"><param name=\"city\">Kyōto</param><param name=\"days\">2</param></function>\n\
                <function name=\"get_weather\"><param name=\"city\">Nara</param><param name=\"days\">3</param></function>";
    assert_eq!(calls(ToolFormat::MiniCpm5, text), two());
    let text = "<function=get_weather>{\"city\": \"Kyōto\", \"days\": 2}</function><function=get_weather>{\"city\": \"Nara\", \"days\": 3}\
                </function>";
    assert_eq!(calls(ToolFormat::Functionary, text), two());
    let text = "<|function_call|>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Nara\", \"days\": 3}}";
    assert_eq!(calls(ToolFormat::GigaChat, text), [weather("Nara", 3)]);
    let text = format!("<|function_call|>{{\"name\": \"stop\"}}\n{text}");
    assert_eq!(calls(ToolFormat::GigaChat, &text), [("stop".to_owned(), json!({})), weather("Nara", 3)]);
    let text = "<|tools_prefix|>[{\"get_weather\": {\"city\": \"Kyōto\", \"days\": 2}}, {\"get_weather\": {\"city\": \"Nara\", \"days\": 3}}]\
                <|tools_suffix|>";
    assert_eq!(calls(ToolFormat::Apertus, text), two());
}

/// Qwen 3, DeepSeek R1 (the prompt opens the tag), Mistral's Magistral, Seed-OSS, Gemma 4 and
/// Apriel 1.6, templates.
#[test]
fn reasoning() {
    let split = |format, starts, text| {
        let answer = parse_all_ways(&dialect(None, Some(format)), starts, text);
        (answer.reasoning, answer.content)
    };
    let expected = ("Let me see.".to_owned(), "Hello.\n".to_owned());
    assert_eq!(split(ReasoningFormat::ThinkTags, false, "<think>\nLet me see.\n</think>\n\nHello.\n"), expected);
    assert_eq!(split(ReasoningFormat::ThinkTags, true, "Let me see.\n</think>\n\nHello.\n"), expected);
    assert_eq!(split(ReasoningFormat::Mistral, false, "[THINK]Let me see.[/THINK]Hello.\n"), expected);
    assert_eq!(split(ReasoningFormat::SeedOss, false, "<seed:think>Let me see.</seed:think>Hello.\n"), expected);
    assert_eq!(split(ReasoningFormat::Gemma4, false, "<|channel>thought\nLet me see.<channel|>Hello.\n"), expected);
    assert_eq!(split(ReasoningFormat::Apriel, true, "Let me see.\n[BEGIN FINAL RESPONSE]\nHello.\n"), expected);
    assert_eq!(split(ReasoningFormat::MiniMaxM3, false, "<mm:think>Let me see.</mm:think>Hello.\n"), expected);
}

#[test]
fn a_tag_of_reasoning_within_content_is_content() {
    let format = dialect(None, Some(ReasoningFormat::ThinkTags));
    let text = " Use <think> and </think>. ";
    assert_eq!(parse_all_ways(&format, false, text).content, text);
}

#[test]
fn text_before_calls_is_content_and_reasoning_comes_first() {
    let format = dialect(Some(ToolFormat::Hermes), Some(ReasoningFormat::ThinkTags));
    let text =
        "<think>a <tool_call> b</think>\nI look.\n<tool_call>{\"name\": \"stop\", \"arguments\": {}}</tool_call>\n";
    let answer = parse_all_ways(&format, false, text);
    assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("a <tool_call> b", "I look."));
    assert_eq!(answer.calls, [("stop".to_owned(), "{}".to_owned())]);
}

#[test]
fn without_tools_tags_of_calls_are_text() {
    let mut content = String::new();
    let mut parser = Parser::new(&dialect(Some(ToolFormat::Hermes), None), Vec::new().into(), false);
    let mut record = |event| match event {
        hostler_dialect::Event::Content(text) => content.push_str(&text),
        other => panic!("{other:?}"),
    };
    parser.push("<tool_call>x</tool_call>", &mut record);
    assert!(!parser.finish(&mut record));
    assert_eq!(content, "<tool_call>x</tool_call>");
    // A model whose template has no tools is told to use the tags of Hermes.
    let text = "<tool_call>{\"name\": \"stop\"}</tool_call>";
    assert_eq!(parse(&Dialect::default(), false, [text]).calls, [("stop".to_owned(), "{}".to_owned())]);
    assert_eq!(tools().len(), 2);
}
