//! Which fields each endpoint supports. Others are refused, or reported as ignored.

use hostler_protocol::RequestError;

use super::body::{Dialect, GenerationBody, ReasoningEffort};
use crate::http::context::RequestContext;

/// Refuses fields that are not supported, and reports those that are ignored.
///
/// # Errors
/// `InvalidRequest`, naming the field.
pub(super) fn check(body: &GenerationBody, dialect: Dialect, context: &RequestContext) -> Result<(), RequestError> {
    refuse_misplaced(body, dialect)?;
    refuse_unsupported(body)?;
    report_ignored(body, context);
    Ok(())
}

/// Refuses fields of other endpoints.
fn refuse_misplaced(body: &GenerationBody, dialect: Dialect) -> Result<(), RequestError> {
    let (chat, native) = (dialect == Dialect::Chat, dialect == Dialect::Native);
    let misplaced = [
        ("messages", !chat && body.messages.is_some()),
        ("prompt", chat && body.prompt.is_some()),
        ("max_completion_tokens", native && body.max_completion_tokens.is_some()),
        ("top_logprobs", !chat && body.top_logprobs.is_some()),
        ("reasoning_effort", !chat && body.reasoning_effort.is_some_and(|effort| effort != ReasoningEffort::None)),
        ("chat_template_kwargs", !chat && body.chat_template_kwargs.as_ref().is_some_and(|given| !given.is_empty())),
        ("tools", !chat && body.tools.as_ref().is_some_and(|tools| !tools.is_empty())),
        ("tool_choice", !chat && body.tool_choice.is_some()),
        ("logprobs", native && body.logprobs.is_some()),
        ("n", native && body.n.is_some()),
        ("stream_options", native && body.stream_options.is_some()),
    ];
    match misplaced.into_iter().find(|&(_, present)| present) {
        Some((field, _)) => {
            Err(RequestError::invalid(field, format!("{field}: this endpoint does not have this field")))
        }
        None => Ok(()),
    }
}

/// Refuses unsupported fields that request something.
fn refuse_unsupported(body: &GenerationBody) -> Result<(), RequestError> {
    const OLD_TOOLS: &str = "this field is not supported; send the functions in tools";
    const TEXT_ONLY: &str = "only text is supported";
    const NOT_SUPPORTED: &str = "this field is not supported";
    body.functions.refuse("functions", &[], OLD_TOOLS)?;
    body.function_call.refuse("function_call", &["none", "auto"], OLD_TOOLS)?;
    body.modalities.refuse("modalities", &["text"], TEXT_ONLY)?;
    body.audio.refuse("audio", &[], TEXT_ONLY)?;
    body.ebnf.refuse("ebnf", &[], "EBNF is not supported; send the grammar as `lark`")?;
    body.echo.refuse("echo", &[], NOT_SUPPORTED)?;
    body.suffix.refuse("suffix", &[], NOT_SUPPORTED)?;
    body.best_of.refuse("best_of", &["1"], "only 1 is supported; request several answers with n")?;
    body.prediction.refuse("prediction", &[], NOT_SUPPORTED)?;
    body.web_search_options.refuse("web_search_options", &[], NOT_SUPPORTED)?;
    body.verbosity.refuse("verbosity", &["medium"], "only \"medium\" is supported")?;
    body.prompt_logprobs.refuse("prompt_logprobs", &[], NOT_SUPPORTED)?;
    body.skip_special_tokens.refuse("skip_special_tokens", &["true"], "special tokens are always skipped")?;
    body.include_stop_str_in_output.refuse("include_stop_str_in_output", &[], NOT_SUPPORTED)?;
    body.add_generation_prompt.refuse("add_generation_prompt", &["true"], "only true is supported")?;
    body.continue_final_message.refuse("continue_final_message", &[], NOT_SUPPORTED)?;
    body.chat_template.refuse("chat_template", &[], "the model's own chat template is always used")
}

/// Reports fields that have no effect here and are harmless.
fn report_ignored(body: &GenerationBody, context: &RequestContext) {
    let schema = body.response_format.as_ref().and_then(|format| format.json_schema.as_ref());
    let ignored = [
        ("user", body.user.0),
        ("store", body.store.0),
        ("metadata", body.metadata.0),
        ("service_tier", body.service_tier.0),
        ("safety_identifier", body.safety_identifier.0),
        ("prompt_cache_key", body.prompt_cache_key.0),
        ("prompt_cache_retention", body.prompt_cache_retention.0),
        ("stream_options.include_obfuscation", body.stream_options.is_some_and(|o| o.include_obfuscation.0)),
        ("response_format.json_schema.name", schema.is_some_and(|schema| schema.name.0)),
        ("response_format.json_schema.description", schema.is_some_and(|schema| schema.description.0)),
        ("response_format.json_schema.strict", schema.is_some_and(|schema| schema.strict.0)),
    ];
    for (field, present) in ignored {
        if present {
            context.ignore(field);
        }
    }
}
