//! Starts mistral.rs's engine and submits sequences to it.

use std::sync::Arc;

use hostler_protocol::TokenId;
use mistralrs::core::{
    Constraint, CustomLogitsProcessor, MistralRs, MistralRsBuilder, NormalRequest, Request, RequestMessage, Response,
    SamplingParams, SchedulerConfig,
};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::pipeline::Loaded;

/// Maximum number of responses that are not tokens: the last one, which the engine may send
/// twice, and errors. The engine stops all sequences if a channel is full.
const RESPONSES_WITHOUT_TOKENS: usize = 8;

/// A running engine. Dropping it stops it at the end of its step, and drops its sequences.
pub(crate) struct Engine {
    /// Dropping it stops the engine's thread.
    _owner: Arc<MistralRs>,
    requests: Sender<Request>,
    next_id: usize,
}

impl Engine {
    /// Starts the engine's threads. `reuses_prefixes` is whether a GPU without PagedAttention
    /// reuses cached prefixes, of all tenants: mistral.rs cannot separate them.
    ///
    /// # Errors
    /// mistral.rs's message.
    pub(crate) fn start(loaded: &Loaded, on_cpu: bool, reuses_prefixes: bool) -> Result<Self, String> {
        // On a CPU, the prefix cache never evicts, and corrupts sequences that waited. With
        // PagedAttention, a batch of prompts with cached prefixes gets a mask of the wrong
        // shape, which ends the engine.
        let is_paged = matches!(loaded.scheduler, SchedulerConfig::PagedAttentionMeta { .. });
        let builder = MistralRsBuilder::new(loaded.pipeline.clone(), loaded.scheduler.clone(), false, None)
            .with_no_prefix_cache(on_cpu || is_paged || !reuses_prefixes);
        // `build` does not wait for I/O or other tasks.
        let owner = futures::executor::block_on(builder.build());
        // Called once, because on a dead engine `get_sender` would start a new one.
        let requests = owner.get_sender(None).map_err(|error| error.to_string())?;
        Ok(Self { _owner: owner, requests, next_id: 0 })
    }

    /// Submits a sequence of at most `max_steps` steps, without waiting. All its responses
    /// must be received.
    ///
    /// # Errors
    /// The engine has ended, or its queue is full.
    pub(crate) fn submit(
        &mut self,
        tokens: Vec<TokenId>,
        max_steps: usize,
        processor: Arc<dyn CustomLogitsProcessor>,
    ) -> Result<Receiver<Response>, String> {
        // The processor ends the sequence with its last token, so this limit is never
        // reached. mistral.rs does not handle a limit of 1 correctly.
        let max_len = max_steps + 1;
        let (response, responses) = mpsc::channel(max_len + RESPONSES_WITHOUT_TOKENS);
        self.next_id += 1;
        let request = NormalRequest {
            messages: RequestMessage::CompletionTokens(tokens),
            sampling_params: SamplingParams {
                temperature: Some(0.0),
                max_len: Some(max_len),
                ..SamplingParams::neutral()
            },
            response,
            return_logprobs: false,
            is_streaming: true,
            id: self.next_id,
            constraint: Constraint::None,
            suffix: None,
            tools: None,
            tool_choice: None,
            logits_processors: Some(vec![processor]),
            return_raw_logits: false,
            web_search_options: None,
            model_id: None,
            truncate_sequence: false,
        };
        self.requests.try_send(Request::Normal(Box::new(request))).map_err(|error| error.to_string())?;
        Ok(responses)
    }

    /// Completes when the engine's thread has ended.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let requests = self.requests.clone();
        async move { requests.closed().await }
    }
}
