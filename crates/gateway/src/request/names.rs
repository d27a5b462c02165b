//! The names under which a client sent the fields that the router and schedulers know by one name.

use hostler_protocol::RequestError;

use super::body::{Dialect, GenerationBody};

/// What the client calls the prompt, the stop sequences and the maximum length of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SentNames {
    prompt: &'static str,
    stop: &'static str,
    max_tokens: &'static str,
}

impl SentNames {
    pub(super) fn of(body: &GenerationBody, dialect: Dialect) -> Self {
        let renamed = body.max_completion_tokens.is_some() && body.max_tokens.is_none();
        Self {
            prompt: match dialect {
                Dialect::Chat | Dialect::Messages => "messages",
                Dialect::Responses => "input",
                Dialect::Completions | Dialect::Native => "prompt",
            },
            stop: if dialect == Dialect::Messages { "stop_sequences" } else { "stop" },
            max_tokens: match dialect {
                Dialect::Responses => "max_output_tokens",
                _ if renamed => "max_completion_tokens",
                _ => "max_tokens",
            },
        }
    }

    /// The same error, with the names that the client used.
    pub(crate) fn put_into(self, mut error: RequestError) -> RequestError {
        match error.param.as_deref() {
            Some("prompt") => error.param = Some(self.prompt.into()),
            // The messages of these errors quote nothing that a client sent but numbers.
            Some("max_tokens") => {
                error.param = Some(self.max_tokens.into());
                error.message = error.message.replace("max_tokens", self.max_tokens);
            }
            Some("stop") => {
                error.param = Some(self.stop.into());
                error.message = error.message.replace("stop has", &format!("{} has", self.stop));
            }
            Some("min_tokens") => error.message = error.message.replace("max_tokens", self.max_tokens),
            _ => {}
        }
        error
    }
}
