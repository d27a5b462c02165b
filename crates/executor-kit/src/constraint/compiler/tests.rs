//! Which constraints compile and which are rejected; none ends the process.

use futures::executor::block_on;
use llguidance::toktrie::ApproximateTokEnv;

use super::*;

fn compiler() -> ConstraintCompiler {
    let factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).expect("the vocabulary is valid");
    ConstraintCompiler::new(Arc::new(factory), &[0]).expect("a thread starts")
}

fn compile(compiler: &ConstraintCompiler, constraint: Constraint) -> Result<ConstraintState, RequestError> {
    let compiled = block_on(compiler.compile(constraint, Vec::new()))?;
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
    let continued = block_on(compiler.compile(regex(), vec![u32::from(b'b')])).expect("the answer fits");
    let mut state: ConstraintState = continued.state().expect("it is this compiler's");
    assert_eq!(allowed(&mut state), b"c");
}

#[test]
fn an_answer_that_violates_the_constraint_is_rejected() {
    let compiled = block_on(compiler().compile(Constraint::Regex("a".to_owned()), vec![u32::from(b'z')]));
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
