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

use hostler_executor::TextError;
use hostler_protocol::Conversation;
use minijinja::{Environment, Error, Value};

const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Compiles a template.
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
        Ok(Self { environment })
    }

    /// Renders the conversation, up to the start of the assistant's answer.
    ///
    /// # Errors
    /// [`TextError::Template`], with the template's own message if it has one.
    pub fn render(&self, chat: &Conversation) -> Result<String, TextError> {
        self.render_variables(message::variables(chat)?)
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
