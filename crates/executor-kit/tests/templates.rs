//! Chat templates of published models, rendered here and by jinja2 with Transformers' settings.
//!
//! `HOSTLER_TEMPLATES` names the folder with the templates; `make test` fetches them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hostler_executor_kit::ChatTemplate;
use minijinja::Value;
use serde_json::{Value as Json, json};

/// The number of templates in the archive that `make test` fetches.
const TEMPLATES: usize = 70;

/// Templates with the cases that are rendered differently, with the reason.
const EXCEPTIONS: [(&str, std::ops::RangeInclusive<usize>); 2] = [
    // It writes the result of `map` as JSON, which is a list here and in llama.cpp, for which it was
    // written. In jinja2 it is a generator, and an error.
    ("llama-cpp-deepseek-r1", 3..=5),
    // It adds JSON to a text marked as safe, so that jinja2 writes `&#34;` for its quotes.
    ("meetkai-functionary-medium-v3.1", 3..=5),
];

/// Conversations of several shapes, with and without tools.
fn cases() -> Vec<Json> {
    let tool = json!({"type": "function", "function": {
        "name": "get_weather", "description": "Returns the weather.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "A city"},
            "unit": {"type": "string", "enum": ["C", "F"]},
            "days": {"type": "integer"}}}}});
    let user = json!({"role": "user", "content": "What's the weather in <Kyōto>?"});
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{
        "id": "abcdefghi", "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Kyōto", "days": 2, "unit": null}}}]});
    let result =
        json!({"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": "{\"sky\": \"clear\"}"});
    let system = json!({"role": "system", "content": "Be brief."});
    let answer = json!({"role": "assistant", "content": "It is clear.", "reasoning_content": "They ask for weather."});
    let tagged = json!({"role": "assistant", "content": "<think>\na\n</think>\n\nb"});
    let thanks = json!({"role": "user", "content": "Thanks, and tomorrow?"});
    vec![
        json!({"messages": [user], "add_generation_prompt": true}),
        json!({"messages": [system, user, answer, thanks], "add_generation_prompt": true}),
        json!({"messages": [user, tagged, thanks], "add_generation_prompt": true}),
        json!({"messages": [system, user], "tools": [tool], "add_generation_prompt": true}),
        json!({"messages": [user, call, result], "tools": [tool], "add_generation_prompt": true}),
        json!({"messages": [system, user, call, result, answer, thanks], "tools": [tool, tool],
               "add_generation_prompt": true}),
        json!({"messages": [user, call, result], "add_generation_prompt": true}),
        json!({"messages": [user], "add_generation_prompt": true, "enable_thinking": true, "reasoning_effort": "low"}),
        json!({"messages": [user], "add_generation_prompt": true, "enable_thinking": false}),
        json!({"messages": [user, answer], "add_generation_prompt": false}),
    ]
}

/// What jinja2 renders; `None` where it refuses.
fn reference(templates: &[String], cases: &[Json]) -> Vec<Vec<Option<String>>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/templates/render.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python is installed");
    let work = json!({"templates": templates, "cases": cases}).to_string();
    python.stdin.take().expect("it is a pipe").write_all(work.as_bytes()).expect("Python reads all of it");
    let output = python.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "the reference failed");
    serde_json::from_slice(&output.stdout).expect("it writes JSON")
}

/// The end of a text from where it begins to differ.
fn from(text: &str, common: usize) -> String {
    String::from_utf8_lossy(&text.as_bytes()[common.saturating_sub(20)..]).chars().take(80).collect()
}

/// What is wrong with a rendering.
fn difference(rendered: Result<String, String>, expected: Option<String>) -> Option<String> {
    match (rendered, expected) {
        (Ok(rendered), Some(expected)) if rendered != expected => {
            let common = rendered.bytes().zip(expected.bytes()).take_while(|(left, right)| left == right).count();
            Some(format!("{:?} instead of {:?}", from(&rendered, common), from(&expected, common)))
        }
        (Ok(_), None) => Some("jinja2 refuses it".to_owned()),
        (Err(error), Some(_)) => Some(error),
        _ => None,
    }
}

#[test]
fn published_templates_are_rendered_as_by_jinja2() {
    let Ok(folder) = std::env::var("HOSTLER_TEMPLATES") else {
        eprintln!("SKIPPED: HOSTLER_TEMPLATES is not set; run `make test`");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jinja"))
        .collect();
    files.sort();
    assert_eq!(files.len(), TEMPLATES, "{folder}");
    let sources: Vec<_> = files.iter().map(|path| std::fs::read_to_string(path).expect("it is text")).collect();
    // Templates write the date, which may change between the two renderings.
    let differences = loop {
        let today = chrono::Local::now().date_naive();
        let differences = differences(&files, &sources);
        if chrono::Local::now().date_naive() == today {
            break differences;
        }
    };
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Renders every template for every case, and describes each that differs without a reason.
fn differences(files: &[PathBuf], sources: &[String]) -> Vec<String> {
    let (cases, mut differences) = (cases(), Vec::new());
    for ((path, source), expected) in files.iter().zip(sources).zip(reference(sources, &cases)) {
        let name = path.file_stem().expect("it has a name").to_string_lossy();
        match ChatTemplate::compile(source, "<s>".into(), "</s>".into()) {
            Err(error) => differences.push(format!("{name} does not compile: {error}")),
            Ok(template) => {
                for (case, (variables, expected)) in cases.iter().zip(expected).enumerate() {
                    let rendered = template.render_variables(Value::from_serialize(variables));
                    let is_exception =
                        EXCEPTIONS.iter().any(|(exception, cases)| *exception == name && cases.contains(&case));
                    match difference(rendered.map_err(|error| error.to_string()), expected) {
                        Some(_) if is_exception => {}
                        None if is_exception => differences.push(format!("{name}, case {case}: no exception any more")),
                        Some(difference) => differences.push(format!("{name}, case {case}: {difference}")),
                        None => {}
                    }
                }
            }
        }
    }
    differences
}
