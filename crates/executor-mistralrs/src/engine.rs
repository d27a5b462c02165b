//! mistral.rs's engine: how it is started and how a sequence is handed to it.

use std::sync::Arc;

use hostler_protocol::TokenId;
use mistralrs::core::{
    Constraint, CustomLogitsProcessor, MistralRs, MistralRsBuilder, NormalRequest, Request, RequestMessage, Response,
    SamplingParams,
};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::pipeline::Loaded;

/// Responses that the engine may send beside one for each token: a last one twice,
/// an error. It stops, for all sequences, where one has no room.
const RESPONSES_BESIDE_TOKENS: usize = 8;

/// A running engine. Dropped, it stops at the end of its step; sequences that run
/// are dropped with it.
pub(crate) struct Engine {
    /// Nothing but its drop is used: it tells the engine's thread to stop.
    _owner: Arc<MistralRs>,
    requests: Sender<Request>,
    next_id: usize,
}

impl Engine {
    /// Starts the engine's threads.
    ///
    /// # Errors
    /// What mistral.rs has against it.
    pub(crate) fn start(loaded: &Loaded, on_cpu: bool) -> Result<Self, String> {
        let builder = MistralRsBuilder::new(loaded.pipeline.clone(), loaded.scheduler.clone(), false, None)
            // On a CPU it never evicts, and corrupts sequences that waited.
            .with_no_prefix_cache(on_cpu);
        // Nothing in there waits for anything but itself.
        let owner = futures::executor::block_on(builder.build());
        // Asked once, here: where the engine is dead, asking starts another.
        let requests = owner.get_sender(None).map_err(|error| error.to_string())?;
        Ok(Self { _owner: owner, requests, next_id: 0 })
    }

    /// Hands a sequence of at most `max_steps` steps over, without waiting. Its responses must be received to
    /// their end.
    ///
    /// # Errors
    /// The engine is gone, or takes no more.
    pub(crate) fn submit(
        &mut self,
        tokens: Vec<TokenId>,
        max_steps: usize,
        processor: Arc<dyn CustomLogitsProcessor>,
    ) -> Result<Receiver<Response>, String> {
        // The processor ends the sequence with its last token, so this is never
        // reached; and mistral.rs goes wrong with 1.
        let max_len = max_steps + 1;
        let (response, responses) = mpsc::channel(max_len + RESPONSES_BESIDE_TOKENS);
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

    /// Ends when the engine's thread has ended.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let requests = self.requests.clone();
        async move { requests.closed().await }
    }
}
