//! Messages: converting back gives the same value, and malformed messages are refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler_cluster::wire;
use hostler_protocol::{
    Batching, CacheScope, CallRules, Capabilities, ChatMessage, Constraint, Conversation, Deadline, Dialect, Driving,
    Engine, ErrorCode, ErrorReason, FencingToken, Finish, FinishReason, GenerationRequest, Logprob, ModelDescription,
    Prefill, Priority, Prompt, ReasoningFormat, RequestError, Role, SamplingParams, Started, StopConditions, Timings,
    Token, TokenEvent, ToolCall, ToolFormat, Usage,
};
use hostler_scheduler::{ClaimSnapshot, SchedulerSnapshot, SchedulerState};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Those that messages can have: below ten years.
fn duration() -> impl Strategy<Value = Duration> {
    (0..315_360_000_u64, 0..1_000_000_000_u32).prop_map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds))
}

fn weighted() -> impl Strategy<Value = Vec<(u32, f32)>> {
    vec((any::<u32>(), -100.0..100.0_f32), 0..4)
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let role = select(vec![Role::System, Role::User, Role::Assistant, Role::Tool]);
    let text = || option::of(any::<String>());
    let call = (any::<String>(), any::<String>(), any::<String>()).prop_map(|(id, name, arguments)| ToolCall {
        id,
        name,
        arguments,
    });
    let message = (role, any::<String>(), text(), text(), vec(call, 0..3), text()).prop_map(
        |(role, content, name, reasoning, tool_calls, tool_call_id)| ChatMessage {
            role,
            content,
            name,
            reasoning,
            tool_calls,
            tool_call_id,
        },
    );
    let chat = (vec(message, 0..4), text(), text()).prop_map(|(messages, tools, variables)| Conversation {
        messages,
        tools,
        variables,
    });
    prop_oneof![
        any::<String>().prop_map(Prompt::Text),
        chat.prop_map(Prompt::Chat),
        vec(any::<u32>(), 0..9).prop_map(Prompt::Tokens),
    ]
}

fn sampling() -> impl Strategy<Value = SamplingParams> {
    let unit = || 0.0..1.0_f32;
    let first = (unit(), unit(), option::of(any::<u32>()), unit());
    (first, (unit(), unit(), unit()), weighted(), option::of(any::<u64>())).prop_map(
        |((temperature, top_p, top_k, min_p), (repetition, presence, frequency), logit_bias, seed)| SamplingParams {
            temperature,
            top_p,
            top_k,
            min_p,
            repetition_penalty: repetition,
            presence_penalty: presence,
            frequency_penalty: frequency,
            logit_bias,
            seed,
        },
    )
}

fn stop() -> impl Strategy<Value = StopConditions> {
    let texts = vec(any::<String>(), 0..3);
    (option::of(any::<u32>()), any::<u32>(), texts, vec(any::<u32>(), 0..3), any::<bool>()).prop_map(
        |(max_tokens, min_tokens, sequences, token_ids, ignore_eos)| StopConditions {
            max_tokens,
            min_tokens,
            sequences,
            reasoning: None,
            token_ids,
            ignore_eos,
        },
    )
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let form = select(vec![Constraint::JsonSchema as fn(String) -> Constraint, Constraint::Regex, Constraint::Lark]);
    (form, any::<String>()).prop_map(|(form, text)| form(text))
}

fn calls() -> impl Strategy<Value = CallRules> {
    (any::<String>(), any::<[bool; 3]>()).prop_map(|(tools, [required, parallel, is_strict])| CallRules {
        tools,
        required,
        parallel,
        is_strict,
    })
}

/// A request, and the instant at which it is sent.
fn request() -> impl Strategy<Value = (GenerationRequest, Instant)> {
    let form = (option::of(constraint()), option::of(calls()));
    let how = (sampling(), stop(), form, option::of(any::<u32>()));
    let who = (select(Priority::ALL.to_vec()), "[a-z]{0,9}", option::of(0..1_u64 << 20), option::of(any::<u64>()));
    (prompt(), vec(any::<u32>(), 0..9), how, who).prop_map(|(prompt, continuation, how, who)| {
        let now = Instant::now();
        let (sampling, stop, (constraint, calls), top_logprobs) = how;
        let (priority, tenant, milliseconds, claim) = who;
        let deadline = milliseconds.and_then(|left| Deadline::after(now, Duration::from_millis(left)));
        let request = GenerationRequest {
            continuation,
            sampling,
            stop,
            constraint,
            calls,
            top_logprobs,
            priority,
            tenant: tenant.as_str().into(),
            cache_scope: CacheScope {
                tenant: claim.map(|_| tenant.as_str().into()),
                salt: top_logprobs.map(|_| tenant),
            },
            deadline,
            claim: claim.map(FencingToken),
            ..GenerationRequest::new("a model".into(), prompt)
        };
        (request, now)
    })
}

fn error() -> impl Strategy<Value = RequestError> {
    let durations = (option::of(duration()), option::of(duration()));
    let texts = (any::<String>(), option::of(any::<String>()));
    let kind = (select(ErrorCode::ALL.to_vec()), option::of(select(ErrorReason::ALL.to_vec())));
    (kind, texts, durations, any::<bool>()).prop_map(
        |((code, reason), (message, param), (retry_after, estimated_wait), is_expected)| RequestError {
            code,
            reason,
            message,
            param: param.map(Into::into),
            retry_after,
            estimated_wait,
            is_expected,
        },
    )
}

fn event() -> impl Strategy<Value = TokenEvent> {
    let logprob = (-50.0..0.0_f32, weighted()).prop_map(|(logprob, top)| Logprob { logprob, top });
    let token = (any::<u32>(), any::<String>(), option::of(logprob));
    let reason = select(vec![FinishReason::Stop, FinishReason::Length]);
    let finish = (reason, any::<[String; 2]>(), any::<bool>(), any::<[u32; 3]>(), (duration(), duration(), duration()));
    prop_oneof![
        any::<u32>().prop_map(|prompt_tokens| TokenEvent::Started(Started { prompt_tokens })),
        token.prop_map(|(id, text, logprob)| TokenEvent::Token(Token { id, text, logprob })),
        finish.prop_map(|(reason, [text, stop], stopped, [prompt, cached, completion], (queue, prefill, decode))| {
            let usage = Usage { prompt_tokens: prompt, cached_tokens: cached, completion_tokens: completion };
            let (stop_sequence, timings) = (stopped.then_some(stop), Timings { queue, prefill, decode });
            TokenEvent::Finished(Finish { reason, text, stop_sequence, usage, timings })
        }),
        error().prop_map(TokenEvent::Failed),
    ]
}

fn dialect() -> impl Strategy<Value = Dialect> {
    let formats = (option::of(select(ToolFormat::ALL.to_vec())), option::of(select(ReasoningFormat::ALL.to_vec())));
    let tokens = vec((any::<String>(), any::<u32>()), 0..3);
    (formats, any::<[bool; 2]>(), tokens).prop_map(
        |((tools, reasoning), [template_renders_tools, opens_reasoning], tokens)| Dialect {
            tools,
            template_renders_tools,
            reasoning,
            opens_reasoning,
            special_tokens: tokens.into_iter().collect(),
        },
    )
}

fn description() -> impl Strategy<Value = ModelDescription> {
    let engine = select(vec![Engine::Mistralrs, Engine::Llamacpp, Engine::Simulated]);
    let batching = select(vec![Batching::Ragged, Batching::EqualLength]);
    let prefill = option::of(any::<u32>())
        .prop_map(|tokens| tokens.map_or(Prefill::Blocking, |tokens| Prefill::Chunked { tokens }));
    let capabilities = (any::<bool>(), option::of(any::<u32>()), any::<bool>(), option::of(any::<u32>()));
    let sizes = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>());
    (engine, any::<String>(), sizes, (any::<u32>(), batching, prefill), (capabilities, dialect())).prop_map(
        |(engine, text, sizes, (max_sequences, batching, prefill), (capabilities, dialect))| ModelDescription {
            model: text.as_str().into(),
            engine,
            device: text.clone(),
            weight_format: text,
            weight_bytes: sizes.0,
            context_length: sizes.1,
            kv_capacity_tokens: sizes.2,
            vocabulary_size: sizes.3,
            driving: Driving { max_sequences, batching, prefill },
            capabilities: Capabilities {
                constraints: capabilities.0,
                top_logprobs_max: capabilities.1,
                chat: capabilities.2,
                embedding_dimensions: capabilities.3,
            },
            dialect,
        },
    )
}

fn snapshot() -> impl Strategy<Value = SchedulerSnapshot> {
    let age = option::of(0..1_u64 << 30);
    let claim =
        (any::<u64>(), any::<String>(), duration(), age).prop_map(|(token, owner, ttl, age_ms)| ClaimSnapshot {
            token: FencingToken(token),
            owner,
            granted: age_ms.and_then(|age| Instant::now().checked_sub(Duration::from_millis(age))),
            ttl,
        });
    let counts = (any::<u32>(), any::<u32>(), any::<[u32; 3]>(), any::<[u64; 3]>(), any::<u32>());
    let rest = (option::of(claim), option::of(any::<String>()), duration(), duration());
    (select(SchedulerState::ALL.to_vec()), option::of(description()), counts, rest).prop_map(
        |(state, description, counts, (claim, failure, estimated_wait, since_last_step))| {
            let (batch_size_max, running, waiting, [kv_reserved_tokens, outstanding_tokens, steps], restarts) = counts;
            SchedulerSnapshot {
                state,
                description: description.map(Arc::new),
                running,
                waiting,
                kv_reserved_tokens,
                outstanding_tokens,
                estimated_wait,
                steps,
                since_last_step,
                claim,
                restarts,
                failure,
                ..SchedulerSnapshot::starting("a scheduler".into(), "a model".into(), batch_size_max)
            }
        },
    )
}

proptest! {
    #[test]
    fn a_request_survives_conversion((request, now) in request()) {
        prop_assert_eq!(wire::request_from_proto(wire::request_to_proto(request.clone(), now), now), Ok(request));
    }

    #[test]
    fn an_event_survives_conversion(event in event()) {
        prop_assert_eq!(wire::event_from_proto(wire::event_to_proto(event.clone())), Ok(event));
    }

    #[test]
    fn a_snapshot_survives_conversion(snapshot in snapshot()) {
        let now = Instant::now();
        prop_assert_eq!(wire::snapshot_from_proto(wire::snapshot_to_proto(&snapshot, now), now), Ok(snapshot));
    }

    #[test]
    fn an_error_survives_conversion_to_a_status(error in error()) {
        prop_assert_eq!(wire::error_from_status(&wire::error_to_status(error.clone())), error);
    }
}

#[test]
fn a_long_error_message_is_cut() {
    let error = RequestError::invalid("prompt", "ä".repeat(5000));
    let back = wire::error_from_status(&wire::error_to_status(error.clone()));
    assert_eq!((back.code, &back.param), (error.code, &error.param));
    assert!(back.message.len() <= 4096 && error.message.starts_with(&back.message), "{} bytes", back.message.len());
}

#[test]
fn a_deadline_is_sent_as_the_time_left() {
    let sent = Instant::now();
    let mut request = GenerationRequest::new("m".into(), Prompt::Text("p".into()));
    request.deadline = Deadline::after(sent, Duration::from_secs(10));
    let message = wire::request_to_proto(request, sent + Duration::from_secs(4));
    // The clock of the other machine is unrelated.
    let arrived = sent + Duration::from_secs(5000);
    let deadline = wire::request_from_proto(message, arrived).expect("it is well-formed").deadline.expect("it has one");
    assert_eq!(deadline.remaining(arrived), Duration::from_secs(6));
}

#[test]
fn malformed_messages_are_refused_and_the_error_names_the_field() {
    let now = Instant::now();
    let whole = || wire::request_to_proto(GenerationRequest::new("m".into(), Prompt::Text("p".into())), now);
    let refused = |message| wire::request_from_proto(message, now).expect_err("it is malformed").to_string();
    let mut message = whole();
    message.prompt = None;
    assert!(refused(message).contains("request.prompt is missing"));
    message = whole();
    message.id = "7".to_owned();
    assert!(refused(message).contains("request.id is \"7\""));
    message = whole();
    message.priority = 99;
    assert!(refused(message).contains("Priority"));
    assert!(wire::event_from_proto(wire::proto::TokenEvent { event: None }).is_err());
}
