//! Whether a scheduler can ever serve a request: the one place that compares what a request
//! needs with what a loaded model can do. Schedulers refuse by it, and routers choose by it.
//! Pure.

use hostler_protocol::{EmbeddingInput, GenerationRequest, ModelDescription, Prompt, RequestError};

/// What a request needs of the engine that runs it, as far as it is known before its prompt is
/// tokenized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The field that a constraint comes from.
    constraint: Option<&'static str>,
    top_logprobs: Option<u32>,
    chat: bool,
    embeddings: bool,
    /// Tokens of prompt and answer that there are at least.
    sequence_tokens_min: u32,
}

impl Needs {
    /// What a generation needs.
    #[must_use]
    pub fn of_generation(request: &GenerationRequest) -> Self {
        let prompt = match &request.prompt {
            Prompt::Tokens(tokens) => u32::try_from(tokens.len()).unwrap_or(u32::MAX),
            Prompt::Text(_) | Prompt::Chat(_) => 1,
        };
        Self {
            constraint: request.constraint.as_ref().map(|constraint| constraint.param()),
            top_logprobs: request.top_logprobs,
            chat: matches!(request.prompt, Prompt::Chat(_)),
            embeddings: false,
            sequence_tokens_min: prompt.saturating_add(request.stop.max_tokens.unwrap_or(1)),
        }
    }

    /// What embeddings need.
    #[must_use]
    pub fn of_embeddings(inputs: &[EmbeddingInput]) -> Self {
        let tokens = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(_) => 1,
            EmbeddingInput::Tokens(tokens) => u32::try_from(tokens.len()).unwrap_or(u32::MAX),
        };
        let sequence_tokens_min = inputs.iter().map(tokens).max().unwrap_or(0);
        Self { embeddings: true, sequence_tokens_min, ..Self::default() }
    }

    /// The same needs of a request that was too long for an engine with these abilities.
    #[must_use]
    pub fn longer_than(mut self, abilities: Abilities) -> Self {
        self.sequence_tokens_min = self.sequence_tokens_min.max(abilities.sequence_tokens_max.saturating_add(1));
        self
    }
}

/// What a loaded model can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    constraints: bool,
    top_logprobs_max: Option<u32>,
    chat: bool,
    embeddings: bool,
    /// Most tokens of one sequence, prompt and answer together.
    sequence_tokens_max: u32,
}

/// Why a model can never serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// It has no constrained output; the field that asks for it.
    Constraint(&'static str),
    /// It has no log probabilities.
    Logprobs,
    /// It has log probabilities, but not so many alternatives.
    TopLogprobs {
        /// Those that the request wants.
        wanted: u32,
        /// Those that there are.
        max: u32,
    },
    /// It has no chat template.
    Chat,
    /// It computes no embeddings.
    Embeddings,
    /// Its sequences are too short.
    Length,
}

impl Abilities {
    /// What a model can do.
    #[must_use]
    pub fn of(model: &ModelDescription) -> Self {
        let can = &model.capabilities;
        Self {
            constraints: can.constraints,
            top_logprobs_max: can.top_logprobs_max,
            chat: can.chat,
            embeddings: can.embedding_dimensions.is_some(),
            sequence_tokens_max: sequence_tokens_max(model),
        }
    }

    /// Most tokens of one sequence, prompt and answer together.
    #[must_use]
    pub const fn sequence_tokens_max(&self) -> u32 {
        self.sequence_tokens_max
    }

    /// Why the request can never be served; `None` if it may be. The first that applies, in the
    /// order of [`Shortfall`].
    #[must_use]
    pub fn shortfall(&self, needs: &Needs) -> Option<Shortfall> {
        match (needs.top_logprobs, self.top_logprobs_max) {
            _ if needs.constraint.is_some() && !self.constraints => needs.constraint.map(Shortfall::Constraint),
            (Some(_), None) => Some(Shortfall::Logprobs),
            (Some(wanted), Some(max)) if wanted > max => Some(Shortfall::TopLogprobs { wanted, max }),
            _ if needs.chat && !self.chat => Some(Shortfall::Chat),
            _ if needs.embeddings && !self.embeddings => Some(Shortfall::Embeddings),
            _ if needs.sequence_tokens_min > self.sequence_tokens_max => Some(Shortfall::Length),
            _ => None,
        }
    }

    /// How near this comes to what a request needs, to compare models of which none suffices:
    /// the greater, the nearer.
    #[must_use]
    pub fn closeness(&self, needs: &Needs) -> (u32, u32) {
        match self.shortfall(needs) {
            Some(Shortfall::Constraint(_)) => (0, 0),
            Some(Shortfall::Logprobs) => (1, 0),
            Some(Shortfall::TopLogprobs { max, .. }) => (2, max),
            Some(Shortfall::Chat) => (3, 0),
            Some(Shortfall::Embeddings) => (4, 0),
            Some(Shortfall::Length) => (5, self.sequence_tokens_max),
            None => (6, 0),
        }
    }
}

impl Shortfall {
    /// The error; `None` for those whose error needs the length of the prompt or the engine's name.
    pub(crate) fn error(self) -> Option<RequestError> {
        Some(match self {
            Self::Constraint(param) => RequestError::invalid(param, "this engine does not support constrained output"),
            Self::Logprobs => RequestError::invalid("logprobs", "this engine does not support log probabilities"),
            Self::TopLogprobs { wanted, max } => {
                let message = format!("top_logprobs is {wanted}; this engine supports at most {max}");
                RequestError::invalid("top_logprobs", message)
            }
            Self::Chat => {
                RequestError::invalid("messages", "this model has no chat template; use a completion instead")
            }
            Self::Embeddings | Self::Length => return None,
        })
    }
}

/// Most tokens of one sequence, prompt and answer together.
fn sequence_tokens_max(model: &ModelDescription) -> u32 {
    u32::try_from(model.kv_capacity_tokens).map_or(model.context_length, |kv| kv.min(model.context_length))
}

#[cfg(test)]
mod tests {
    use hostler_protocol::Constraint;

    use super::*;

    fn abilities() -> Abilities {
        Abilities {
            constraints: true,
            top_logprobs_max: Some(5),
            chat: true,
            embeddings: true,
            sequence_tokens_max: 100,
        }
    }

    fn completion(prompt_tokens: usize, max_tokens: Option<u32>) -> GenerationRequest {
        let mut request = GenerationRequest::new("m".into(), Prompt::Tokens(vec![1; prompt_tokens]));
        request.stop.max_tokens = max_tokens;
        request
    }

    #[test]
    fn each_need_has_its_shortfall() {
        let mut constrained = completion(1, None);
        constrained.constraint = Some(Constraint::Regex("a".to_owned()));
        let mut with_logprobs = completion(1, None);
        with_logprobs.top_logprobs = Some(6);
        let (constrained, with_logprobs) = (Needs::of_generation(&constrained), Needs::of_generation(&with_logprobs));
        let embeddings = Needs::of_embeddings(&[EmbeddingInput::Text("a".to_owned())]);
        let chat = Needs { chat: true, ..Needs::default() };
        let without = Abilities::default();
        let cases = [
            (abilities(), constrained, None),
            (without, constrained, Some(Shortfall::Constraint("regex"))),
            (abilities(), with_logprobs, Some(Shortfall::TopLogprobs { wanted: 6, max: 5 })),
            (without, with_logprobs, Some(Shortfall::Logprobs)),
            (without, chat, Some(Shortfall::Chat)),
            (without, embeddings, Some(Shortfall::Embeddings)),
            (abilities(), Needs::of_generation(&completion(60, Some(40))), None),
            (abilities(), Needs::of_generation(&completion(60, Some(41))), Some(Shortfall::Length)),
            (abilities(), Needs::of_generation(&completion(99, None)), None),
            (abilities(), Needs::of_generation(&completion(100, None)), Some(Shortfall::Length)),
        ];
        for (abilities, needs, expected) in cases {
            assert_eq!(abilities.shortfall(&needs), expected, "{needs:?}");
        }
    }

    #[test]
    fn a_request_that_was_too_long_needs_a_longer_sequence() {
        let needs = Needs::of_generation(&completion(1, None)).longer_than(abilities());
        assert_eq!(abilities().shortfall(&needs), Some(Shortfall::Length));
        let longer = Abilities { sequence_tokens_max: 101, ..abilities() };
        assert_eq!(longer.shortfall(&needs), None);
        assert!(longer.closeness(&needs) > abilities().closeness(&needs));
    }
}
