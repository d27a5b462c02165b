//! What a loaded model is.

use hostler_protocol::{Capabilities, Driving, ModelDescription, Prefill};

use super::{Malformed, proto};

impl From<&ModelDescription> for proto::ModelDescription {
    fn from(own: &ModelDescription) -> Self {
        let Driving { max_sequences, batching, prefill } = own.driving;
        let Capabilities { constraints, top_logprobs_max, chat, embedding_dimensions } = own.capabilities;
        Self {
            model: own.model.as_str().to_owned(),
            engine: proto::Engine::from(own.engine).into(),
            device: own.device.clone(),
            weight_format: own.weight_format.clone(),
            weight_bytes: own.weight_bytes,
            context_length: own.context_length,
            kv_capacity_tokens: own.kv_capacity_tokens,
            vocabulary_size: own.vocabulary_size,
            max_sequences,
            batching: proto::Batching::from(batching).into(),
            prefill_chunk_tokens: match prefill {
                Prefill::Chunked { tokens } => Some(tokens),
                Prefill::Blocking => None,
            },
            constraints,
            top_logprobs_max,
            chat,
            embedding_dimensions,
        }
    }
}

impl TryFrom<proto::ModelDescription> for ModelDescription {
    type Error = Malformed;

    fn try_from(message: proto::ModelDescription) -> Result<Self, Malformed> {
        let (engine, batching) = (message.engine().try_into()?, message.batching().try_into()?);
        let prefill = message.prefill_chunk_tokens.map_or(Prefill::Blocking, |tokens| Prefill::Chunked { tokens });
        Ok(Self {
            model: message.model.into(),
            engine,
            device: message.device,
            weight_format: message.weight_format,
            weight_bytes: message.weight_bytes,
            context_length: message.context_length,
            kv_capacity_tokens: message.kv_capacity_tokens,
            vocabulary_size: message.vocabulary_size,
            driving: Driving { max_sequences: message.max_sequences, batching, prefill },
            capabilities: Capabilities {
                constraints: message.constraints,
                top_logprobs_max: message.top_logprobs_max,
                chat: message.chat,
                embedding_dimensions: message.embedding_dimensions,
            },
        })
    }
}
