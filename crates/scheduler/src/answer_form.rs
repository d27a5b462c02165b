//! The form of an answer: the constraint that a request asks for, and the grammar of the calls that
//! it allows. Only the scheduler can write that grammar, because it depends on the model's format
//! and on how the rendered prompt ends.

use hostler_dialect::answer_grammar;
use hostler_protocol::{Constraint, GenerationRequest, ModelDescription, ReasoningSpan, RequestError};

/// A constraint to compile.
#[derive(Debug, PartialEq)]
pub(crate) struct AnswerForm {
    pub(crate) constraint: Constraint,
    /// The field of the request that it comes from.
    pub(crate) param: &'static str,
    /// The answer may do without it: calls that are neither required nor strict are only
    /// constrained if the engine can.
    pub(crate) is_optional: bool,
}

impl AnswerForm {
    /// The form that a request asks for; takes it out of the request.
    ///
    /// # Errors
    /// `InvalidRequest`: the tools or the schema are not JSON, or a constraint other than a schema
    /// is combined with tools.
    pub(crate) fn of(
        request: &mut GenerationRequest,
        model: &ModelDescription,
        reasoning: Option<&ReasoningSpan>,
    ) -> Result<Option<Self>, RequestError> {
        let (calls, constraint) = (request.calls.take(), request.constraint.take());
        let calls = calls.filter(|_| model.capabilities.constraints);
        let schema = match (&calls, &constraint) {
            (_, Some(Constraint::JsonSchema(schema))) => Some(schema.as_str()),
            (Some(_), Some(other)) => {
                let param = other.param();
                return Err(RequestError::invalid(param, format!("{param} and tools are mutually exclusive")));
            }
            _ => None,
        };
        if calls.is_none() && (schema.is_none() || reasoning.is_none()) {
            return Ok(constraint.map(|constraint| Self { param: constraint.param(), constraint, is_optional: false }));
        }
        let param = if calls.is_some() { "tools" } else { "response_format" };
        let is_optional = schema.is_none() && calls.as_ref().is_some_and(|calls| !calls.required && !calls.is_strict);
        let starts_in_reasoning = reasoning.is_some_and(|span| span.is_open);
        let lark = answer_grammar(&model.dialect, calls.as_ref(), schema, starts_in_reasoning)
            .map_err(|error| RequestError::invalid(param, format!("{param}: {error}")))?;
        Ok(lark.map(|lark| Self { constraint: Constraint::Lark(lark), param, is_optional }))
    }
}

#[cfg(test)]
mod tests {
    use hostler_dialect::reasoning_span;
    use hostler_protocol::{CallRules, Capabilities, Prompt, ReasoningFormat};
    use hostler_testkit::model_description;
    use serde_json::json;

    use super::*;

    fn form(
        model: &ModelDescription,
        calls: Option<CallRules>,
        constraint: Option<Constraint>,
    ) -> Result<Option<AnswerForm>, RequestError> {
        let prompt = Prompt::Text(String::new());
        let mut request = GenerationRequest { calls, constraint, ..GenerationRequest::new("m".into(), prompt) };
        let span = model.dialect.reasoning.map(|format| reasoning_span(format, false));
        let form = AnswerForm::of(&mut request, model, span.as_ref());
        assert_eq!((request.calls, request.constraint), (None, None));
        form
    }

    fn calls(required: bool, is_strict: bool) -> CallRules {
        let tools = json!([{"name": "f", "description": null, "parameters": {"type": "object"}, "strict": is_strict}]);
        CallRules { tools: tools.to_string(), required, parallel: true, is_strict }
    }

    #[test]
    fn calls_become_a_grammar_that_only_some_requests_can_do_without() {
        let capabilities = Capabilities { constraints: true, ..Capabilities::default() };
        let model = ModelDescription { capabilities, ..model_description("m") };
        for (rules, is_optional) in
            [(calls(false, false), true), (calls(true, false), false), (calls(false, true), false)]
        {
            let form = form(&model, Some(rules), None).expect("it is valid").expect("there are tools");
            assert_eq!((form.param, form.is_optional), ("tools", is_optional));
            assert!(matches!(form.constraint, Constraint::Lark(_)));
        }
        let schema = || Some(Constraint::JsonSchema("{}".to_owned()));
        let both = form(&model, Some(calls(false, false)), schema()).expect("it is valid").expect("there is a schema");
        assert!(!both.is_optional);
        let regex = Some(Constraint::Regex("a".to_owned()));
        let error = form(&model, Some(calls(false, false)), regex).expect_err("they exclude each other");
        assert_eq!(error.param.as_deref(), Some("regex"));
    }

    #[test]
    fn a_schema_allows_reasoning_and_an_engine_without_constraints_is_free() {
        let mut model = model_description("m");
        let schema = || Some(Constraint::JsonSchema("{}".to_owned()));
        assert_eq!(form(&model, Some(calls(false, false)), None), Ok(None));
        let plain = form(&model, None, schema()).expect("it is valid").expect("there is a schema");
        assert_eq!(Some(plain.constraint), schema());
        model.dialect.reasoning = Some(ReasoningFormat::ThinkTags);
        let reasoned = form(&model, None, schema()).expect("it is valid").expect("there is a schema");
        assert!(matches!(reasoned.constraint, Constraint::Lark(lark) if lark.contains("think")));
        assert_eq!(reasoned.param, "response_format");
    }
}
