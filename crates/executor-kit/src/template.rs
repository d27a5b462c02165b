//! The model's chat template, a Jinja program that comes with its files.
//!
//! Engines have their own ways to apply one (llama.cpp knows some famous templates
//! by their looks, mistral.rs does it between decode steps); here the program itself
//! is run, on the caller's thread.

use std::sync::Arc;

use hostler_executor::TextError;
use hostler_protocol::ChatMessage;
use minijinja::{Environment, Error, ErrorKind, Value, context};

const NAME: &str = "chat";

/// A chat template, compiled.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin_of_sequence: String,
    end_of_sequence: String,
}

impl ChatTemplate {
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn compile(source: String, begin_of_sequence: String, end_of_sequence: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        // As the library for which templates are written sets it.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_template_owned(NAME, source).map_err(|error| error.to_string())?;
        Ok(Self { environment, begin_of_sequence, end_of_sequence })
    }

    /// The conversation, up to where the assistant speaks.
    ///
    /// # Errors
    /// [`TextError::Template`], in the template's own words where it has some.
    pub fn render(&self, messages: &[ChatMessage]) -> Result<String, TextError> {
        let refused = |error: Error| TextError::Template(error.detail().map_or_else(|| error.to_string(), Into::into));
        let messages: Vec<Value> = messages.iter().map(message_value).collect();
        let template = self.environment.get_template(NAME).map_err(refused)?;
        template
            .render(context! {
                messages,
                bos_token => self.begin_of_sequence,
                eos_token => self.end_of_sequence,
                add_generation_prompt => true,
            })
            .map_err(refused)
    }
}

/// Templates ask whether a message has a name: it is there only if it is known.
fn message_value(message: &ChatMessage) -> Value {
    let mut fields = vec![("role", message.role.as_str()), ("content", &message.content)];
    if let Some(name) = &message.name {
        fields.push(("name", name));
    }
    fields.into_iter().map(|(key, value)| (key, Value::from(Arc::<str>::from(value)))).collect()
}

/// How a template refuses a conversation.
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
    fn a_conversation_is_laid_out() {
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
    fn a_refusal_is_told_in_the_templates_words() {
        let template = compile("{{ raise_exception('roles must alternate') }}");
        let error = template.render(&[]).expect_err("it refuses");
        assert!(matches!(error, TextError::Template(reason) if reason == "roles must alternate"));
    }

    #[test]
    fn what_is_no_template_does_not_compile() {
        assert!(ChatTemplate::compile("{% if %}".into(), String::new(), String::new()).is_err());
    }
}
