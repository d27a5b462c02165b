//! The gateway over the real router, a real scheduler and the simulated engine.

use std::sync::Arc;

use actix_rt::Arbiter;
use hostler_config::ServerConfig;
use hostler_executor::simulated::{CostModel, SimulatedConfig, SimulatedFactory};
use hostler_router::{Router, RouterConfig};
use hostler_scheduler::{LocalScheduler, Scheduler, SchedulerConfig, SchedulerSnapshot, SchedulerState};
use serde_json::json;

use crate::auth::keys;
use crate::client::within;
use crate::harness::{MODEL, Site, chat, serve, with};

struct Stack {
    site: Site,
    scheduler: Arc<LocalScheduler>,
    _router: Router,
}

impl Stack {
    async fn start(engine: SimulatedConfig, change: impl FnOnce(&mut SchedulerConfig)) -> Self {
        let mut config = SchedulerConfig::new("stack-0", MODEL);
        change(&mut config);
        Self::start_with(engine, config, |_| {}).await
    }

    async fn start_with(
        engine: SimulatedConfig,
        config: SchedulerConfig,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let factory = SimulatedFactory::new(MODEL, engine).expect("a valid engine");
        let scheduler = LocalScheduler::start(config, Arc::new(factory));
        let router = Router::start(RouterConfig::default(), &Arbiter::current());
        router.add(Arc::clone(&scheduler) as _).await.expect("the router runs");
        let (_, site) = serve(&router, change);
        let stack = Self { site, scheduler, _router: router };
        stack.wait_for(|now| now.state == SchedulerState::Serving).await;
        stack
    }

    async fn wait_for(&self, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
        let mut snapshot = self.scheduler.snapshot();
        within("the scheduler's state", snapshot.wait_for(condition)).await.expect("the scheduler lives");
    }
}

/// An engine whose answers last until they are cancelled.
fn slow() -> SimulatedConfig {
    SimulatedConfig { cost: CostModel { decode_step_ms: 20.0, ..CostModel::default() }, ..SimulatedConfig::default() }
}

#[actix_web::test]
async fn every_endpoint_generates_the_same_text() {
    let Stack { site, .. } = &Stack::start(SimulatedConfig::echo(), |_| {}).await;
    let body = with(chat("hello"), json!({"max_tokens": 16, "temperature": 0}));
    let answer = site.post("/v1/chat/completions", &body).await.json();
    let text = answer["choices"][0]["message"]["content"].as_str().expect("text").to_owned();
    let tokens = site.post("/tokenize", &chat("hello")).await.json()["tokens"].clone();
    assert_eq!(answer["usage"]["prompt_tokens"], json!(tokens.as_array().map(Vec::len)));
    let native = json!({"prompt": tokens, "max_tokens": 16, "temperature": 0});
    assert_eq!(site.post("/generate", &native).await.json()["data"]["text"], json!(text));
    let streamed = site.post("/generate_stream", &native).await.chunks();
    let joined: String = streamed.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(joined, text);
}

#[actix_web::test]
async fn a_client_that_disconnects_frees_its_slot() {
    let stack = Stack::start(slow(), |_| {}).await;
    let mut connection = stack.site.connect().await;
    let body = json!({"prompt": "hello", "max_tokens": 2000, "stream": true}).to_string();
    connection.send("POST", "/generate", &[], body.as_bytes()).await;
    stack.wait_for(|now| now.running == 1).await;
    drop(connection);
    stack.wait_for(|now| now.running == 0 && now.kv_reserved_tokens == 0).await;
}

#[actix_web::test]
async fn a_full_queue_says_when_to_retry() {
    let stack = Stack::start(slow(), |config| {
        config.max_batch_size = 1;
        config.queue.requests_max = 1;
    })
    .await;
    let body = json!({"prompt": "hello", "max_tokens": 2000}).to_string();
    let mut running = stack.site.connect().await;
    running.send("POST", "/generate", &[], body.as_bytes()).await;
    stack.wait_for(|now| now.running == 1).await;
    let mut waiting = stack.site.connect().await;
    waiting.send("POST", "/generate", &[], body.as_bytes()).await;
    stack.wait_for(|now| now.waiting_total() == 1).await;
    let refused = stack.site.post("/v1/chat/completions", &chat("hello")).await;
    assert_eq!((refused.head.status, refused.error("code")), (429, json!("overloaded")));
    let seconds = refused.head.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{:?}", refused.head.header("retry-after"));
}

#[actix_web::test]
async fn a_prompt_beyond_the_context_is_refused_whether_streamed_or_not() {
    let stack = Stack::start(SimulatedConfig::echo(), |_| {}).await;
    let body = chat(&"word ".repeat(5000));
    for body in [with(body.clone(), json!({"stream": true})), body] {
        let refused = stack.site.post("/v1/chat/completions", &body).await;
        assert_eq!((refused.head.status, refused.error("code")), (400, json!("context_length_exceeded")));
        assert_eq!(refused.error("type"), json!("invalid_request_error"));
        assert_eq!(refused.error("param"), json!("messages"));
        assert!(refused.error("message").to_string().contains("2048"), "{}", refused.body);
    }
}

#[actix_web::test]
async fn the_code_says_whether_a_shorter_prompt_would_fit() {
    let stack = Stack::start(SimulatedConfig::echo(), |_| {}).await;
    let prompt = vec![1; 2000];
    let cases = [
        ("/v1/completions", json!({"prompt": prompt, "max_tokens": 100}), "context_length_exceeded", "max_tokens"),
        ("/v1/completions", json!({"prompt": [1], "max_tokens": 5000}), "invalid_request", "max_tokens"),
        ("/generate", json!({"prompt": vec![1; 5000]}), "context_length_exceeded", "prompt"),
        ("/v1/embeddings", json!({"input": vec![1; 5000]}), "context_length_exceeded", "input"),
    ];
    for (path, body, code, param) in cases {
        let refused = stack.site.post(path, &body).await;
        let found = (refused.head.status, refused.error("code"), refused.error("param"));
        assert_eq!(found, (400, json!(code), json!(param)), "{path}: {}", refused.body);
    }
}

#[actix_web::test]
async fn an_error_names_the_field_that_was_sent() {
    let stack = Stack::start(SimulatedConfig::echo(), |_| {}).await;
    for (field, sent) in [
        ("max_completion_tokens", json!({"max_completion_tokens": 0})),
        ("max_completion_tokens", json!({"max_completion_tokens": 5000})),
        ("max_tokens", json!({"max_tokens": 5000})),
    ] {
        let refused = stack.site.post("/v1/chat/completions", &with(chat("hello"), sent.clone())).await;
        assert_eq!((refused.head.status, refused.error("param")), (400, json!(field)), "{sent}: {}", refused.body);
        let message = refused.error("message").to_string();
        let other = if field == "max_tokens" { "max_completion_tokens" } else { " max_tokens" };
        assert!(message.contains(field) && !message.contains(other), "{sent}: {message}");
    }
    let sent = json!({"max_completion_tokens": 1, "min_tokens": 2});
    let refused = stack.site.post("/v1/chat/completions", &with(chat("hello"), sent)).await;
    assert!(refused.error("message").to_string().contains("more than max_completion_tokens"), "{}", refused.body);
}

#[actix_web::test]
async fn an_unknown_model_has_its_own_code() {
    let stack = Stack::start(SimulatedConfig::echo(), |_| {}).await;
    let chat = with(chat("hello"), json!({"model": "absent"}));
    let claim = json!({"model": "absent", "owner": "a test", "ttl_seconds": 5});
    let refusals = [
        stack.site.post("/v1/chat/completions", &chat).await,
        stack.site.post("/v1/embeddings", &json!({"model": "absent", "input": "a"})).await,
        stack.site.post("/admin/claims", &claim).await,
        stack.site.get("/v1/models/absent").await,
        stack.site.get("/model/info?model=absent").await,
    ];
    for refused in refusals {
        let found = (refused.head.status, refused.error("code"), refused.error("type"));
        assert_eq!(found, (404, json!("model_not_found"), json!("invalid_request_error")), "{}", refused.body);
    }
}

#[actix_web::test]
async fn while_no_worker_has_joined_a_model_may_be_served_later() {
    let router = Router::start(RouterConfig::default(), &Arbiter::current());
    let (_gateway, site) = serve(&router, |_| {});
    let refusals = [
        site.post("/v1/chat/completions", &with(chat("hello"), json!({"model": "later"}))).await,
        site.post("/v1/embeddings", &json!({"model": "later", "input": "a"})).await,
        site.get("/v1/models/later").await,
    ];
    for refused in refusals {
        assert_eq!((refused.head.status, refused.error("code")), (503, json!("unavailable")), "{}", refused.body);
        assert!(refused.head.header("retry-after").is_some(), "{:?}", refused.body);
    }
}

#[actix_web::test]
async fn a_deadline_ends_a_request() {
    let stack = Stack::start(slow(), |_| {}).await;
    let body = json!({"prompt": "hello", "max_tokens": 2000, "timeout": 0.2});
    let late = stack.site.post("/generate", &body).await;
    assert_eq!((late.head.status, late.error("code")), (504, json!("deadline_exceeded")));
    stack.wait_for(|now| now.running == 0).await;
}

/// The `cached_tokens` of a prompt that this client sends with this salt.
async fn cached(site: &Site, key: &str, salt: Option<&str>) -> u64 {
    let body = json!({"prompt": "a secret prompt of many tokens", "max_tokens": 1, "cache_salt": salt}).to_string();
    let key = format!("Bearer {key}");
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    let answer = site.send("POST", "/v1/completions", &headers, body.as_bytes()).await.json();
    answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().expect("a number")
}

#[actix_web::test]
async fn tenants_share_no_cached_prefixes_unless_configured() {
    let engine = || SimulatedConfig { prefix_cache_tokens: 4096, ..SimulatedConfig::echo() };
    let scheduler = || SchedulerConfig::new("stack-0", MODEL);
    let Stack { site, .. } = &Stack::start_with(engine(), scheduler(), keys).await;
    assert_eq!(cached(site, "a-secret", None).await, 0);
    assert_eq!(cached(site, "r-secret", None).await, 0, "another tenant learns nothing");
    assert_eq!(cached(site, "a-secret", Some("user 1")).await, 0);
    let own = cached(site, "a-secret", None).await;
    assert!(own > 0);
    assert_eq!(cached(site, "a-secret", Some("user 1")).await, own);

    let share = |server: &mut ServerConfig| {
        keys(server);
        server.share_prefixes = true;
    };
    let Stack { site, .. } = &Stack::start_with(engine(), scheduler(), share).await;
    assert_eq!(cached(site, "a-secret", None).await, 0);
    assert_eq!(cached(site, "r-secret", None).await, own);
    assert_eq!(cached(site, "r-secret", Some("user 1")).await, 0, "a salt separates in any case");
}

#[actix_web::test]
async fn a_salt_is_neither_empty_nor_long() {
    let Stack { site, .. } = &Stack::start(SimulatedConfig::echo(), |_| {}).await;
    for salt in [String::new(), "x".repeat(257)] {
        let answer = site.post("/generate", &json!({"prompt": "a", "cache_salt": salt})).await.json();
        assert_eq!(answer["error"]["param"], json!("cache_salt"), "{answer}");
    }
}
