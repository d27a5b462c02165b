//! The JSON body of a request.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Endpoint, HttpSettings};
use crate::workload::Job;

/// The JSON body of a request.
pub(super) fn body(settings: &HttpSettings, model: &str, job: &Job) -> Bytes {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    match settings.endpoint {
        Endpoint::Chat => body.insert("messages".to_owned(), messages(job)),
        Endpoint::Completions => body.insert("prompt".to_owned(), json!(job.text())),
    };
    body.insert("max_tokens".to_owned(), json!(job.max_tokens));
    body.insert("temperature".to_owned(), json!(job.temperature));
    body.insert("stream".to_owned(), json!(settings.stream));
    if settings.stream {
        // Without this, a stream does not report its token counts.
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    if job.exact_length {
        body.insert("ignore_eos".to_owned(), json!(true));
    }
    body.extend(settings.extra_body.clone());
    Bytes::from(Value::Object(body).to_string())
}

/// The conversation so far and the prompt.
fn messages(job: &Job) -> Value {
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let history =
        job.history.iter().flat_map(|turn| [message("user", &turn.prompt), message("assistant", &turn.answer)]);
    history.chain([message("user", &job.prompt)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Turn;

    #[test]
    fn extra_fields_replace_default_ones() {
        let extra_body = json!({"temperature": 0.0, "cache_prompt": false}).as_object().cloned().unwrap_or_default();
        let settings = HttpSettings {
            base_url: "http://h".to_owned(),
            api_key: None,
            model: None,
            endpoint: Endpoint::Completions,
            stream: true,
            extra_body,
            claim: None,
        };
        let job = Job {
            index: 0,
            history: vec![Turn { prompt: "a".to_owned(), answer: "b".to_owned() }],
            prompt: "x".to_owned(),
            max_tokens: 5,
            exact_length: true,
            temperature: 0.5,
            disconnect_after: None,
            keeps_answer: false,
        };
        let sent: Value = serde_json::from_slice(&body(&settings, "m", &job)).expect("it is JSON");
        assert_eq!(
            sent,
            json!({
                "model": "m", "prompt": "abx", "max_tokens": 5, "temperature": 0.0, "stream": true,
                "stream_options": {"include_usage": true}, "ignore_eos": true, "cache_prompt": false,
            })
        );
    }
}
