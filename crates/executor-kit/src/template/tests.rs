//! Tests of the rendering of single constructs; `tests/templates.rs` has those of whole templates.

use hostler_protocol::{ChatMessage, Conversation, Role, ToolCall};
use minijinja::context;
use proptest::prelude::*;

use super::*;

fn compile(source: &str) -> ChatTemplate {
    ChatTemplate::compile(source, "<s>".into(), "</s>".into()).expect("it compiles")
}

fn message(role: Role, content: &str) -> ChatMessage {
    ChatMessage::new(role, content)
}

#[test]
fn a_conversation_is_rendered() {
    let template = compile(
        "{{ bos_token }}{% for message in messages %}\n  {%- if message.name is defined %}named{% endif %}\n\
         [{{ message['role'] }}]{{ message.content.strip() }}{{ eos_token }}\n{% endfor %}\n\
         {%- if add_generation_prompt %}[assistant]{% endif %}",
    );
    let messages = [message(Role::System, " be brief "), message(Role::User, "<b>")];
    let text = template.render(&messages.to_vec().into()).expect("it renders");
    assert_eq!(text, "<s>[system]be brief</s>\n[user]<b></s>\n[assistant]");
}

#[test]
fn an_error_has_the_templates_message() {
    let template = compile("{{ raise_exception('roles must alternate') }}");
    let error = template.render(&Conversation::default()).expect_err("it is rejected");
    assert!(matches!(error, TextError::Template(reason) if reason == "roles must alternate"));
}

#[test]
fn an_invalid_template_is_an_error_with_its_line() {
    let error = ChatTemplate::compile("\n{% if %}", String::new(), String::new()).expect_err("no condition");
    assert!(error.contains("chat:2"), "{error}");
}

#[test]
fn values_are_printed_as_python_prints_them() {
    let text = |source: &str| compile(source).render(&Conversation::default()).expect(source);
    assert_eq!(text("{{ true }} {{ none }} {{ [1, 'a', 2.0] }} {{ {'a': \"it's\", 'b': none} }}"), {
        r#"True None [1, 'a', 2.0] {'a': "it's", 'b': None}"#
    });
    assert_eq!(text("{{ {'a': ['<é>', 1.0, true]} | tojson }}"), r#"{"a": ["<é>", 1.0, true]}"#);
    assert_eq!(text("{{ {'a': [1], 'b': {}} | tojson(indent=2) }}"), "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}");
    assert_eq!(text("{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}"), r#"{"a":2,"b":1}"#);
    assert_eq!(text("{{ {'a': 'é😀'} | tojson(ensure_ascii=true) }}"), r#"{"a": "\u00e9\ud83d\ude00"}"#);
    assert_eq!(text("{{ 'a\\nb\\n\\n' | indent(2, first=true) }}"), "  a\n  b\n\n");
    assert_eq!(text("{{ nothing | length }}{{ 'yes' if nothing is undefined }}"), "0yes");
    assert_eq!(text("{% generation %}a{% endgeneration %}{%- generation -%} b {% endgeneration %}"), "ab ");
    assert_eq!(text("{{ strftime_now('%Y') }}").len(), 4);
}

proptest! {
    /// A template is data from a stranger: no format of a date may panic.
    #[test]
    fn any_date_format_is_a_text_or_an_error(format in "[%a-zA-Z0-9:.#+^_ -]{0,12}") {
        let format = Value::from(format);
        let _ = compile("{{ strftime_now(format) }}").render_variables(context! { format });
    }
}

#[test]
fn calls_results_tools_and_variables_reach_the_template() {
    let template = compile(
        "{% for tool in tools %}{{ tool.function.name }};{% endfor %}{{ enable_thinking }};{% for message in messages %}\
         {{ message.role }}:{{ message.content }}:{{ message.reasoning_content }}:{{ message.tool_call_id }}\
         {%- for call in message.tool_calls %}{{ call.id }}={{ call.function.name }}\
         {{ call.function.arguments | tojson }}{{ call.function.arguments.city }}{% endfor %};{% endfor %}",
    );
    let call =
        |id: &str, arguments: &str| ToolCall { id: id.into(), name: "weather".into(), arguments: arguments.into() };
    let chat = Conversation {
        messages: vec![
            ChatMessage {
                reasoning: Some("hm".into()),
                tool_calls: vec![call("a", r#"{"city": "Rome"}"#), call("b", ""), call("c", "{\"cut")],
                ..message(Role::Assistant, "")
            },
            ChatMessage { tool_call_id: Some("a".into()), ..message(Role::Tool, "sunny") },
        ],
        tools: Some(r#"[{"type": "function", "function": {"name": "weather"}}]"#.into()),
        variables: Some(r#"{"enable_thinking": false, "messages": []}"#.into()),
    };
    let variables = message::variables(&chat, CallIds::AsSent).expect("they are JSON");
    assert_eq!(
        template.render_variables(variables).expect("it renders"),
        "weather;False;assistant::hm:a=weather{\"city\": \"Rome\"}Romeb=weather{}c=weather\"{\\\"cut\";tool:sunny::a;"
    );
    let broken = Conversation { tools: Some("[".into()), ..Conversation::default() };
    assert!(matches!(template.render(&broken), Err(TextError::Template(_))));
}

const SIMPLE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}";

#[test]
fn tools_are_described_to_a_template_that_has_none() {
    let tools = r#"[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]"#;
    let mut chat: Conversation = vec![ChatMessage::new(Role::User, "Hi")].into();
    let template = ChatTemplate::compile(SIMPLE, String::new(), String::new()).expect("it compiles");
    assert!(!template.dialect().template_renders_tools);
    assert_eq!(template.render(&chat).expect("it renders"), "user: Hi\n");
    chat.tools = Some(tools.to_owned());
    let rendered = template.render(&chat).expect("it renders");
    assert!(rendered.starts_with("system: You can call") && rendered.contains("\"name\":\"f\""), "{rendered}");
    let refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}";
    let template = ChatTemplate::compile(refuses, String::new(), String::new()).expect("it compiles");
    let error = template.render(&chat).expect_err("it has no system message").to_string();
    assert!(error.contains("no tools") && error.contains("no system"), "{error}");
}

#[test]
fn a_configured_format_replaces_the_detected_one_and_tags_are_looked_up() {
    let template = ChatTemplate::compile(SIMPLE, String::new(), String::new()).expect("it compiles");
    let id = |tag: &str| (tag == "[TOOL_CALLS]").then_some(7);
    let template = template.of_model(Some(ToolFormat::Mistral), id);
    assert_eq!(template.dialect().tools, Some(ToolFormat::Mistral));
    assert_eq!(template.dialect().special_tokens.iter().collect::<Vec<_>>(), [(&"[TOOL_CALLS]".to_owned(), &7)]);
}

#[test]
fn mistral_gets_ids_of_nine_characters_that_connect_a_call_with_its_result() {
    let call = |id: &str| ToolCall { id: id.into(), name: "f".into(), arguments: "{}".into() };
    let answer = ChatMessage {
        tool_calls: vec![call("call_0123456789abcdef"), call("abcDEF123")],
        ..message(Role::Assistant, "")
    };
    let result = ChatMessage { tool_call_id: Some("call_0123456789abcdef".into()), ..message(Role::Tool, "") };
    let chat: Conversation = vec![answer, result].into();
    let template = compile(
        "{% for message in messages %}{% for call in message.tool_calls %}{{ call.id }};{% endfor %}\
         {{ message.tool_call_id }}{% endfor %}",
    );
    let variables = message::variables(&chat, CallIds::Nine).expect("they are JSON");
    let rendered = template.render_variables(variables).expect("it renders");
    let [first, second, result] = rendered.split(';').collect::<Vec<_>>()[..] else { panic!("{rendered}") };
    assert_eq!((first.len(), first, second), (9, result, "abcDEF123"));
}
