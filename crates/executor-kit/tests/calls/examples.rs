//! Calls in each format.

use hostler_protocol::ToolFormat;

/// A call of `get_weather` and one of `stop`, the same with a value that the schema does not
/// allow, and with a tool that does not exist.
pub(super) fn calls(format: ToolFormat) -> [String; 4] {
    let both = |first: &dyn Fn(&str, &str) -> String, open: &str, close: &str, between: &str| {
        let weather =
            |name: &str, days: &str| format!("{{\"city\": \"Kyōto\", \"days\": {days}}}").replace("NAME", name);
        let (good, bad) = (weather("", "2"), weather("", "10"));
        let call = |name: &str, arguments: &str| first(name, arguments);
        let stop = "{\"mode\": \"now\"}";
        [
            format!("{open}{}{close}", call("get_weather", &good)),
            format!("{open}{}{between}{}{close}", call("get_weather", &good), call("stop", stop)),
            format!("{open}{}{close}", call("get_weather", &bad)),
            format!("{open}{}{close}", call("get_rain", &good)),
        ]
    };
    let object = |name: &str, arguments: &str| format!("{{\"name\": \"{name}\", \"arguments\": {arguments}}}");
    let array = |open, close| both(&object, open, close, ", ");
    let tags = |section: (&str, &str),
                begin: &'static str,
                name_end: &'static str,
                key: [&'static str; 3],
                end: &'static str,
                line: &'static str| {
        let value = |name: &str, value: &str, is_text: bool| {
            let kind = match (key[1].contains("string="), is_text) {
                (true, false) => "\" string=\"false\">",
                _ => key[1],
            };
            format!("\n{}{name}{kind}{line}{value}{line}{}", key[0], key[2])
        };
        let weather = |name: &str, days: &str| {
            format!("{begin}{name}{name_end}{}{}\n{end}", value("city", "Kyōto", true), value("days", days, false))
        };
        let stop = format!("{begin}stop{name_end}{}\n{end}", value("mode", "now", true));
        let between = if section.0.is_empty() { "\n" } else { "" };
        [
            format!("{}{}{}", section.0, weather("get_weather", "2"), section.1),
            format!("{}{}{between}{stop}{}", section.0, weather("get_weather", "2"), section.1),
            format!("{}{}{}", section.0, weather("get_weather", "10"), section.1),
            format!("{}{}{}", section.0, weather("get_rain", "2"), section.1),
        ]
    };
    let each = |open: &str, close: &str| {
        both(&|name, arguments| format!("{open}{}{close}", object(name, arguments)), "", "", "\n")
    };
    match format {
        ToolFormat::Hermes => each("<tool_call>\n", "\n</tool_call>"),
        ToolFormat::Llama3Json => {
            both(&|name, arguments| format!("{{\"name\": \"{name}\", \"parameters\": {arguments}}}"), "", "", "; ")
        }
        ToolFormat::MistralArray => array("[TOOL_CALLS][", "]"),
        ToolFormat::Mistral => both(&|name, arguments| format!("[TOOL_CALLS]{name}[ARGS]{arguments}"), "", "", ""),
        ToolFormat::Harmony => {
            let mut calls = both(
                &|name, arguments| {
                    format!("<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}")
                },
                "",
                "",
                "",
            );
            // There is one call in an answer.
            calls[1] = calls[0].clone();
            calls
        }
        ToolFormat::Qwen3Coder => {
            let mut calls = tags(
                ("", ""),
                "<tool_call>\n<function=",
                ">",
                ["<parameter=", ">", "</parameter>"],
                "</function>\n</tool_call>",
                "\n",
            );
            calls[1] = calls[1].replace("</tool_call>\n<tool_call>\n", "");
            calls
        }
        ToolFormat::SeedOss => tags(
            ("<seed:tool_call>\n", "\n</seed:tool_call>"),
            "<function=",
            ">",
            ["<parameter=", ">", "</parameter>"],
            "</function>",
            "",
        ),
        ToolFormat::MiniMaxM2 => tags(
            ("<minimax:tool_call>\n", "\n</minimax:tool_call>"),
            "<invoke name=\"",
            "\">",
            ["<parameter name=\"", "\">", "</parameter>"],
            "</invoke>",
            "",
        ),
        ToolFormat::DeepSeekV32 | ToolFormat::DeepSeekV4 => {
            let section = if format == ToolFormat::DeepSeekV32 { "function_calls" } else { "tool_calls" };
            let (open, close) = (format!("<｜DSML｜{section}>\n"), format!("\n</｜DSML｜{section}>"));
            tags(
                (&open, &close),
                "<｜DSML｜invoke name=\"",
                "\">",
                ["<｜DSML｜parameter name=\"", "\" string=\"true\">", "</｜DSML｜parameter>"],
                "</｜DSML｜invoke>",
                "",
            )
        }
        ToolFormat::Glm => tags(
            ("", ""),
            "<tool_call>",
            "",
            ["<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>"],
            "</tool_call>",
            "",
        ),
        ToolFormat::MiniCpm5 => {
            tags(("", ""), "<function name=\"", "\">", ["<param name=\"", "\">", "</param>"], "</function>", "")
        }
        ToolFormat::DeepSeekV3 => both(
            &|name, arguments| {
                format!(
                    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
                )
            },
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "\n",
        ),
        ToolFormat::DeepSeekV31 => both(
            &|name, arguments| format!("<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>"),
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "",
        ),
        ToolFormat::KimiK2 => both(
            &|name, arguments| {
                format!("<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>")
            },
            "<|tool_calls_section_begin|>",
            "<|tool_calls_section_end|>",
            "",
        ),
        ToolFormat::Solar => both(
            &|name, arguments| {
                format!(
                    "<|tool_call:begin|>abc-1<|tool_call:name|>{name}<|tool_call:args|>{arguments}<|tool_call:end|>"
                )
            },
            "<|tool_calls|>",
            "<|calls|>",
            "",
        ),
        ToolFormat::Functionary => each_named("<function=", ">", "</function>"),
        ToolFormat::Phi4 => array("functools[", "]"),
        ToolFormat::Granite3 => array("<|tool_call|>[", "]"),
        ToolFormat::Apriel => array("<tool_calls>[", "]</tool_calls>"),
        ToolFormat::Nemotron => array("<TOOLCALL>[", "]</TOOLCALL>"),
        ToolFormat::MiniMaxM1 => both(&object, "<tool_calls>\n", "\n</tool_calls>", "\n"),
        ToolFormat::GigaChat => each("<|function_call|>", ""),
        ToolFormat::Cohere => both(
            &|name, arguments| format!("{{\"tool_name\": \"{name}\", \"parameters\": {arguments}}}"),
            "<|START_ACTION|>[\n",
            "\n]<|END_ACTION|>",
            ",\n    ",
        ),
        ToolFormat::Apertus => both(
            &|name, arguments| format!("{{\"{name}\": {arguments}}}"),
            "<|tools_prefix|>[",
            "]<|tools_suffix|>",
            ", ",
        ),
    }
}

fn each_named(begin: &str, separator: &str, end: &str) -> [String; 4] {
    let call = |name: &str, arguments: &str| format!("{begin}{name}{separator}{arguments}{end}");
    let weather = "{\"city\": \"Kyōto\", \"days\": 2}";
    [
        call("get_weather", weather),
        call("get_weather", weather) + &call("stop", "{\"mode\": \"now\"}"),
        call("get_weather", "{\"city\": \"Kyōto\", \"days\": 10}"),
        call("get_rain", weather),
    ]
}
