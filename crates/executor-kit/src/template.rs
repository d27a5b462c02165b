//! The model's chat template, a Jinja template in the model's files.
//!
//! The engines' own implementations are not used: llama.cpp only recognises some common
//! templates, and mistral.rs renders them between decode steps. This module renders the
//! template itself, on the caller's thread, as Transformers' `apply_chat_template` does, for
//! which templates are written. `tests/templates` compares the two on published templates.

mod environment;
mod filters;
mod json;
mod message;
mod python;

use hostler_dialect::{described, detect, is_described, markers, probes};
use hostler_executor::TextError;
use hostler_protocol::{Conversation, Dialect, TokenId, ToolFormat};
use minijinja::{Environment, Error, Value};

use self::message::CallIds;

const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    dialect: Dialect,
}

impl ChatTemplate {
    /// Compiles a template, and detects the model's dialect from it.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn compile(source: &str, begin_of_sequence: String, end_of_sequence: String) -> Result<Self, String> {
        let mut environment = environment::new();
        environment.add_global("bos_token", begin_of_sequence);
        environment.add_global("eos_token", end_of_sequence);
        environment
            .add_template_owned(NAME, environment::portable(source))
            .map_err(|error| format!("the model's chat template cannot be compiled: {error}"))?;
        let mut template = Self { environment, dialect: Dialect::default() };
        let rendered = probes().map(|variables| template.render_variables(Value::from_serialize(variables)).ok());
        template.dialect = detect(source, [0, 1, 2].map(|probe: usize| rendered[probe].as_deref()));
        Ok(template)
    }

    /// The template of a model whose calls have `tool_format`, if that is configured, and whose
    /// vocabulary has these special tokens.
    #[must_use]
    pub fn of_model(
        mut self,
        tool_format: Option<ToolFormat>,
        special_token: impl Fn(&str) -> Option<TokenId>,
    ) -> Self {
        self.dialect.tools = tool_format.or(self.dialect.tools);
        let found = |tag: String| special_token(&tag).map(|id| (tag, id));
        self.dialect.special_tokens = markers(&self.dialect).into_iter().filter_map(found).collect();
        self
    }

    /// How the model writes tool calls and reasoning.
    #[must_use]
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Renders the conversation, up to the start of the assistant's answer. If the template knows
    /// no tools, they are described in the system message.
    ///
    /// # Errors
    /// [`TextError::Template`], with the template's own message if it has one.
    pub fn render(&self, chat: &Conversation) -> Result<String, TextError> {
        if !is_described(&self.dialect) {
            return self.render_variables(message::variables(chat, self.call_ids())?);
        }
        let plain = described(chat).map_err(|error| TextError::Template(format!("the tools: {error}")))?;
        let rendered = self.render_variables(message::variables(&plain, CallIds::AsSent)?);
        rendered.map_err(|error| match error {
            TextError::Template(reason) if chat.tools.is_some() => TextError::Template(format!(
                "the model's chat template has no tools, and refuses them in the system message: {reason}"
            )),
            other => other,
        })
    }

    fn call_ids(&self) -> CallIds {
        match self.dialect.tools {
            Some(ToolFormat::Mistral | ToolFormat::MistralArray) => CallIds::Nine,
            _ => CallIds::AsSent,
        }
    }

    /// Renders the template with variables of any kind, such as `tools`.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_variables(&self, variables: Value) -> Result<String, TextError> {
        let rejected = |error: Error| TextError::Template(error.detail().map_or_else(|| error.to_string(), Into::into));
        self.environment.get_template(NAME).and_then(|template| template.render(variables)).map_err(rejected)
    }
}

#[cfg(test)]
mod tests;
