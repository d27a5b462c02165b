//! Log probabilities of a chat answer, as they are written.

use serde::Serialize;

use crate::generation::{LabelledToken, TokenLogprob};

#[derive(Serialize)]
pub(super) struct ChatLogprobs {
    content: Vec<ChatLogprob>,
    refusal: Option<&'static str>,
}

#[derive(Serialize)]
struct ChatLogprob {
    #[serde(flatten)]
    token: TopLogprob,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Serialize)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl ChatLogprobs {
    pub(super) fn new(labelled: &[LabelledToken]) -> Self {
        let content = labelled.iter().map(|LabelledToken { token, top }| ChatLogprob {
            token: TopLogprob::new(token),
            top_logprobs: top.iter().map(TopLogprob::new).collect(),
        });
        Self { content: content.collect(), refusal: None }
    }
}

impl TopLogprob {
    fn new(token: &TokenLogprob) -> Self {
        Self { token: token.text(), logprob: token.logprob, bytes: token.bytes.clone() }
    }
}
