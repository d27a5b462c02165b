//! Which constraints compile and which are rejected; none ends the process.

use futures::executor::block_on;
use llguidance::toktrie::ApproximateTokEnv;

use super::*;

fn compiler() -> ConstraintCompiler {
    let factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).expect("the vocabulary is valid");
    ConstraintCompiler::new(Arc::new(factory), &[0]).expect("a thread starts")
}

fn compile(compiler: &ConstraintCompiler, constraint: Constraint) -> Result<ConstraintState, RequestError> {
    let compiled = block_on(compiler.compile(&TenantId::default(), constraint, Vec::new()))?;
    Ok(compiled.state().expect("it is this compiler's"))
}

/// The bytes that are allowed next.
fn allowed(state: &mut ConstraintState) -> Vec<u8> {
    let mut logits = vec![0.0; 256];
    state.mask(&mut logits).expect("the parser does not fail");
    (0..=255).filter(|&byte: &u8| logits[usize::from(byte)] == 0.0).collect()
}

#[test]
fn a_cached_state_is_the_initial_state() {
    let compiler = compiler();
    let regex = || Constraint::Regex("[ab]c".to_owned());
    for _ in 0..3 {
        let mut state = compile(&compiler, regex()).expect("it is a regular expression");
        assert_eq!(allowed(&mut state), b"ab");
        state.accept(u32::from(b'a')).expect("it is allowed");
        assert_eq!(allowed(&mut state), b"c");
    }
    let continued =
        block_on(compiler.compile(&TenantId::default(), regex(), vec![u32::from(b'b')])).expect("the answer fits");
    let mut state: ConstraintState = continued.state().expect("it is this compiler's");
    assert_eq!(allowed(&mut state), b"c");
}

#[test]
fn an_answer_that_violates_the_constraint_is_rejected() {
    let regex = Constraint::Regex("a".to_owned());
    let compiled = block_on(compiler().compile(&TenantId::default(), regex, vec![u32::from(b'z')]));
    let error = compiled.expect_err("z is not a");
    assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("regex")));
}

#[test]
fn chains_of_rules_and_references_do_not_overflow_the_stack() {
    // Close to the maximum of 64 KiB.
    let chain: String = (0..5_000).map(|index| format!("r{index}: r{}\n", index + 1)).collect();
    let lark = format!("start: r0\n{chain}r5000: \"x\"\n");
    assert!((55_000..65_536).contains(&lark.len()), "{} bytes", lark.len());
    let references: String =
        (0..2_000).map(|index| format!(r##""{index}":{{"$ref":"#/$defs/{}"}},"##, index + 1)).collect();
    let schema = format!(r##"{{"$ref":"#/$defs/0","$defs":{{{references}"2000":{{"type":"null"}}}}}}"##);
    assert!((50_000..65_536).contains(&schema.len()), "{} bytes", schema.len());
    let compiler = compiler();
    for constraint in [Constraint::Lark(lark), Constraint::JsonSchema(schema)] {
        let param = constraint.param();
        if let Err(error) = compile(&compiler, constraint) {
            assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some(param)));
        }
    }
    compile(&compiler, Constraint::Regex("a".to_owned())).expect("the compiler still works");
}

/// Schemas of a few bytes, whose compilation would take seconds and gigabytes without limits.
#[test]
fn schemas_with_a_huge_expansion_are_rejected() {
    let compiler = compiler();
    for schema in [
        r#"{"type":"number","multipleOf":999983}"#,
        r#"{"type":"integer","multipleOf":4999999}"#,
        r#"{"allOf":[{"type":"integer","multipleOf":997},{"type":"integer","multipleOf":991}]}"#,
    ] {
        let error = compile(&compiler, Constraint::JsonSchema(schema.to_owned())).err();
        let error = error.unwrap_or_else(|| panic!("{schema} is compiled"));
        assert_eq!((error.code, error.param.as_deref()), (ErrorCode::InvalidRequest, Some("response_format")));
        assert!(error.message.len() < 500, "{}", error.message);
    }
    let common = r#"{"type":"object","properties":{"price":{"type":"number","multipleOf":0.01},
        "id":{"type":"string","format":"uuid"},"tags":{"type":"array","items":{"type":"string"},"maxItems":20}},
        "required":["price","id"],"additionalProperties":false}"#;
    compile(&compiler, Constraint::JsonSchema(common.to_owned())).expect("a common schema is compiled");
}

#[test]
fn whitespace_between_json_tokens_is_bounded() {
    let compiler = compiler();
    let whitespace = |schema: &str| {
        let mut state = compile(&compiler, Constraint::JsonSchema(schema.to_owned())).expect("it is a schema");
        state.accept(u32::from(b'{')).expect("it is allowed");
        (0..100).take_while(|_| allowed(&mut state).contains(&b' ') && state.accept(u32::from(b' ')).is_ok()).count()
    };
    let object = r#"{"type":"object","properties":{"ripe":{"type":"boolean"}},"required":["ripe"]}"#;
    assert_eq!(whitespace(object), 32);
    let own = object.replacen('{', r#"{"x-guidance":{"whitespace_flexible":false},"#, 1);
    assert_eq!(whitespace(&own), 0);
}

#[test]
fn a_constraint_is_compiled_once_for_all_requests_and_refused_from_the_cache() {
    let compiler = compiler();
    let (release, released) = std::sync::mpsc::channel::<()>();
    compiler
        .pool
        .submit("another".into(), move || {
            let _ = released.recv();
        })
        .expect("there is room");
    let tenant = TenantId::default();
    let invalid = Constraint::Regex("(".to_owned());
    // More requests than constraints may wait.
    let requests: Vec<_> = (0..100).map(|_| compiler.compile(&tenant, invalid.clone(), Vec::new())).collect();
    assert_eq!(compiler.shared.waiting.lock().len(), 1, "one compilation for all");
    drop(release);
    for answer in block_on(futures::future::join_all(requests)) {
        assert_eq!(answer.expect_err("it is invalid").code, ErrorCode::InvalidRequest);
    }
    assert!(compiler.shared.waiting.lock().is_empty());
    assert!(matches!(compiler.shared.cache.lock().get(&invalid), Some(Err(_))), "the refusal is cached");
}

#[test]
fn a_tenant_that_fills_its_queue_leaves_room_for_others() {
    let compiler = compiler();
    let (release, released) = std::sync::mpsc::channel::<()>();
    compiler
        .pool
        .submit("blocker".into(), move || {
            let _ = released.recv();
        })
        .expect("there is room");
    let regex = |index: usize| Constraint::Regex(format!("a{{{index}}}"));
    let floods: Vec<_> = (1..=60).map(|index| compiler.compile(&"flood".into(), regex(index), Vec::new())).collect();
    let other = compiler.compile(&"other".into(), regex(99), Vec::new());
    drop(release);
    block_on(other).expect("another tenant's constraint is compiled");
    let refused = block_on(futures::future::join_all(floods)).into_iter().filter_map(Result::err);
    assert!(refused.map(|error| assert_eq!(error.code, ErrorCode::Overloaded)).count() > 0);
}

mod random {
    //! Random schemas, grammars and expressions: each is compiled or refused within the limits.

    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use proptest::strategy::LazyJust;

    use super::*;

    /// Maximum processor time of a compilation and a mask together, on a busy machine with
    /// debug assertions. Without limits, these take minutes and gigabytes.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn schema() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::json;
        let number = prop_oneof![0_u64..100, Just(997), Just(999_983), any::<u64>()];
        let leaf = prop_oneof![
            LazyJust::new(|| json!({"type": ["integer", "null", "string", "boolean"]})),
            (number.clone(), number.clone())
                .prop_map(|(low, high)| json!({"type": "integer", "minimum": low, "maximum": high})),
            number.prop_map(|divisor| json!({"type": "number", "multipleOf": divisor})),
            (0_u64..2_000, 0_u64..5_000)
                .prop_map(|(min, max)| json!({"type": "string", "minLength": min, "maxLength": max})),
            regex().prop_map(|pattern| json!({"type": "string", "pattern": pattern})),
            prop::sample::select(vec!["date-time", "uuid", "email", "ipv6", "uri"])
                .prop_map(|format| json!({"type": "string", "format": format})),
            LazyJust::new(|| json!({"$ref": "#"})),
        ];
        leaf.prop_recursive(6, 60, 8, |inner| {
            let several = prop::collection::vec(inner.clone(), 1..8);
            prop_oneof![
                (several.clone(), prop::sample::select(vec!["anyOf", "oneOf", "allOf"]))
                    .prop_map(|(all, key)| json!({key: all})),
                (inner, 0_u32..3_000)
                    .prop_map(|(items, max)| json!({"type": "array", "items": items, "maxItems": max})),
                several.prop_map(|all| {
                    let members: serde_json::Map<_, _> =
                        all.into_iter().enumerate().map(|(index, member)| (format!("p{index}"), member)).collect();
                    json!({"type": "object", "properties": members})
                }),
            ]
        })
    }

    fn regex() -> impl Strategy<Value = String> {
        let leaf =
            prop::sample::select(vec!["a", "[a-z]", ".", "\\d", "(.|\\n)", "\\p{L}", "word"]).prop_map(str::to_owned);
        leaf.prop_recursive(5, 40, 5, |inner| {
            let times = prop::sample::select(vec!["*", "+", "?", "{0,9}", "{500}", "{3,1000}"]);
            prop_oneof![
                (inner.clone(), times).prop_map(|(inner, times)| format!("({inner}){times}")),
                prop::collection::vec(inner.clone(), 1..5).prop_map(|all| all.concat()),
                prop::collection::vec(inner, 1..5).prop_map(|all| format!("({})", all.join("|"))),
            ]
        })
    }

    fn grammar() -> impl Strategy<Value = String> {
        (1_usize..200, prop::collection::vec((0_usize..200, 0_usize..200, 0_usize..6), 1..200)).prop_map(
            |(count, rules)| {
                let mut text = "start: r0\n".to_owned();
                for index in 0..count {
                    let (left, right, form) = rules[index % rules.len()];
                    let (left, right) = (left % count, right % count);
                    let rule = match form {
                        0 => format!("r{left} r{right}"),
                        1 => format!("r{left} | \"x\""),
                        2 => format!("(r{left})* \"y\""),
                        3 => format!("r{left}? r{right}+"),
                        4 => "/[a-z]{1,50}/".to_owned(),
                        _ => "\"z\"".to_owned(),
                    };
                    text.push_str(&format!("r{index}: {rule}\n"));
                }
                text
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn are_compiled_or_refused_within_the_limits(
            constraint in prop_oneof![
                schema().prop_map(|schema| Constraint::JsonSchema(schema.to_string())),
                regex().prop_map(Constraint::Regex),
                grammar().prop_map(Constraint::Lark),
            ],
        ) {
            let compiler = compiler();
            let begun = Instant::now();
            match compile(&compiler, constraint.clone()) {
                Ok(mut state) => {
                    // A mask may exceed its budget, which ends the answer; it must come back.
                    let _ = state.mask(&mut vec![0.0; 256]);
                }
                Err(error) => {
                    prop_assert_eq!(error.code, ErrorCode::InvalidRequest);
                    prop_assert_eq!(error.param.as_deref(), Some(constraint.param()));
                    prop_assert!(!error.message.contains("panicked"), "{}", error.message);
                }
            }
            prop_assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        }
    }
}
