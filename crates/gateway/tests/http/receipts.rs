//! `GET /admin/receipts`: what was decided for a request and how it ended, without its text.

use serde_json::json;

use crate::harness::{Harness, chat, with};

#[actix_web::test]
async fn each_answer_of_a_request_has_a_receipt_without_its_text() {
    const SECRET: &str = "a very private prompt";
    let harness = Harness::start().await;
    let response = harness.post("/v1/chat/completions", &with(chat(SECRET), json!({"n": 2}))).await;
    assert_eq!(response.head.status, 200);
    let id = response.json()["id"].as_str().expect("it has an id").to_owned();
    let receipts = loop {
        // An answer may arrive before its receipt is complete.
        let receipts = harness.get(&format!("/admin/receipts/{id}")).await;
        if receipts.head.status == 200 && receipts.json()["data"].as_array().is_some_and(|data| data.len() == 2) {
            break receipts;
        }
        tokio::task::yield_now().await;
    };
    let body = receipts.json();
    let receipt = &body["data"][0];
    assert_eq!(receipt["end"], json!("stop"));
    assert_eq!(receipt["decisions"][0]["reason"], json!("only_one"));
    assert_eq!(receipt["decisions"][0]["candidates"].as_array().map(Vec::len), Some(1));
    assert!(receipt["outcome"]["completion_tokens"].as_u64() > Some(0), "{receipt}");
    assert!(!body.to_string().contains(SECRET), "{body}");

    let list = harness.get("/admin/receipts?limit=1").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(harness.get("/admin/receipts?limit=x").await.head.status, 400);
}

#[actix_web::test]
async fn an_unknown_id_is_not_found_and_no_id_is_invalid() {
    let harness = Harness::start().await;
    let unknown = harness.get("/admin/receipts/chatcmpl-00000000000000000000000000000000").await;
    assert_eq!((unknown.head.status, unknown.error("param")), (404, json!("id")));
    assert!(unknown.error("message").to_string().contains("router.receipts_max"));
    let invalid = harness.get("/admin/receipts/x").await;
    assert_eq!((invalid.head.status, invalid.error("param")), (400, json!("id")));
}
