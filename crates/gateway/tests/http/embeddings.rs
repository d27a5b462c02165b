//! Embeddings.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::EMBEDDING;
use crate::harness::{Harness, MODEL};

const PATH: &str = "/v1/embeddings";

#[actix_web::test]
async fn every_form_of_input_is_embedded() {
    let harness = Harness::start().await;
    let cases = [(json!("abc"), 1, 3), (json!(["a", "bc"]), 2, 3), (json!([1, 2]), 1, 2), (json!([[1], [2, 3]]), 2, 3)];
    for (input, count, tokens) in cases {
        let response = harness.post(PATH, &json!({"model": MODEL, "input": input})).await;
        assert_eq!(response.head.status, 200, "{}", response.body);
        assert_eq!(response.head.header("x-hostler-scheduler"), Some("demo-0"));
        let list = response.json();
        assert_eq!((&list["object"], &list["model"]), (&json!("list"), &json!(MODEL)));
        assert_eq!(list["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
        let data = list["data"].as_array().expect("a list");
        assert_eq!(data.len(), count);
        for (index, item) in data.iter().enumerate() {
            assert_eq!(*item, json!({"object": "embedding", "index": index, "embedding": EMBEDDING}));
        }
    }
}

#[actix_web::test]
async fn base64_is_little_endian_floats() {
    let harness = Harness::start().await;
    let body = json!({"input": "abc", "encoding_format": "base64", "user": "someone", "dimensions": EMBEDDING.len()});
    let response = harness.post(PATH, &body).await;
    // 0.5, -0.25 and 1.0 are 3f000000, be800000 and 3f800000.
    assert_eq!(response.json()["data"][0]["embedding"], json!("AAAAPwAAgL4AAIA/"));
    assert_eq!(response.head.header("x-hostler-ignored"), Some("user"));
}

#[actix_web::test]
async fn a_shortened_vector_has_a_length_of_one() {
    let harness = Harness::start().await;
    let response = harness.post(PATH, &json!({"input": "a", "dimensions": 2})).await.json();
    let vector: Vec<f64> =
        response["data"][0]["embedding"].as_array().expect("numbers").iter().filter_map(Value::as_f64).collect();
    assert_eq!(vector.len(), 2);
    // 0.5 and -0.25, divided by the root of 0.3125.
    assert!((vector[0] - 0.894_427).abs() < 1e-5 && (vector[1] + 0.447_213).abs() < 1e-5, "{vector:?}");
}

#[actix_web::test]
async fn unsupported_values_are_refused_with_the_field() {
    let harness = Harness::start().await;
    let cases: [(&str, Value, &str); 7] = [
        ("dimensions", json!({"input": "a", "dimensions": 4}), "3 numbers"),
        ("dimensions", json!({"input": "a", "dimensions": 0}), "at least 1"),
        ("encoding_format", json!({"input": "a", "encoding_format": "int8"}), "int8"),
        ("input", json!({}), "input"),
        ("input", json!({"input": []}), "at least one"),
        ("input", json!({"input": vec!["a"; 2049]}), "at most 2048"),
        ("inputs", json!({"input": "a", "inputs": "b"}), "unknown field"),
    ];
    for (param, body, message) in cases {
        let response = harness.post(PATH, &body).await;
        assert_eq!(response.head.status, 400, "{}", response.body);
        assert_eq!(response.error("param"), json!(param));
        assert!(response.error("message").to_string().contains(message), "{}", response.body);
    }
    let unknown = harness.post(PATH, &json!({"input": "a", "model": "other"})).await;
    assert_eq!(unknown.head.status, 404);
}

#[actix_web::test]
async fn a_request_times_out_if_the_engine_does_not_respond() {
    let harness = Harness::start_with(|config| config.request_timeout = Duration::from_millis(50)).await;
    let response = harness.post(PATH, &json!({"input": "hang"})).await;
    assert_eq!(response.head.status, 504, "{}", response.body);
}
