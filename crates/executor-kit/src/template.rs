//! The model's chat template, a Jinja template in the model's files.
//!
//! The engines' own implementations are not used: llama.cpp only recognises some common
//! templates, and mistral.rs renders them between decode steps. This module renders the
//! template itself, on the caller's thread.

use std::sync::Arc;

use hostler_executor::TextError;
use hostler_protocol::ChatMessage;
use minijinja::{Environment, Error, ErrorKind, Value, context};

const NAME: &str = "chat";

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin_of_sequence: String,
    end_of_sequence: String,
}

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn compile(source: String, begin_of_sequence: String, end_of_sequence: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        // The settings of Transformers, for which templates are written.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source).map_err(|error| error.to_string())?;
        Ok(Self { environment, begin_of_sequence, end_of_sequence })
    }

    /// Renders the conversation, up to the start of the assistant's answer.
    ///
    /// # Errors
    /// [`TextError::Template`], with the template's own message if it has one.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<String, TextError> {
        let rejected = |error: Error| TextError::Template(error.detail().map_or_else(|| error.to_string(), Into::into));
        let messages: Vec<Value> = messages.iter().map(message_value).collect();
        let template = self.environment.get_template(NAME).map_err(rejected)?;
        template
            .render(context! {
                messages,
                bos_token => self.begin_of_sequence,
                eos_token => self.end_of_sequence,
                add_generation_prompt => true,
            })
            .map_err(rejected)
    }
}

/// The field `name` exists only if the message has a name, because templates test for it.
fn message_value(message: &ChatMessage) -> Value {
    let mut fields = vec![("role", message.role.as_str()), ("content", &message.content)];
    if let Some(name) = &message.name {
        fields.push(("name", name));
    }
    fields.into_iter().map(|(key, value)| (key, Value::from(Arc::<str>::from(value)))).collect()
}

/// Templates call this to reject a conversation.
fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

#[cfg(test)]
mod tests {
    use hostler_protocol::Role;

    use super::*;

    fn compile(source: &str) -> ChatTemplate {
        ChatTemplate::compile(source.into(), "<s>".into(), "</s>".into()).expect("it compiles")
    }

    fn message(role: Role, content: &str) -> ChatMessage {
        ChatMessage { role, content: content.into(), name: None }
    }

    #[test]
    fn a_conversation_is_rendered() {
        let template = compile(
            "{{ bos_token }}{% for message in messages %}\n  {%- if message.name is defined %}named{% endif %}\n\
             [{{ message['role'] }}]{{ message.content.strip() }}{{ eos_token }}\n{% endfor %}\n\
             {%- if add_generation_prompt %}[assistant]{% endif %}",
        );
        let messages = [message(Role::System, " be brief "), message(Role::User, "<b>")];
        let text = template.render(&messages).expect("it renders");
        assert_eq!(text, "<s>[system]be brief</s>\n[user]<b></s>\n[assistant]");
    }

    #[test]
    fn an_error_has_the_templates_message() {
        let template = compile("{{ raise_exception('roles must alternate') }}");
        let error = template.render(&[]).expect_err("it is rejected");
        assert!(matches!(error, TextError::Template(reason) if reason == "roles must alternate"));
    }

    #[test]
    fn an_invalid_template_does_not_compile() {
        assert!(ChatTemplate::compile("{% if %}".into(), String::new(), String::new()).is_err());
    }
}
