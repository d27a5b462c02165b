//! A scripted scheduler: each prompt tells it what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use hostler_executor::ModelExecutor;
use hostler_protocol::{
    Batching, Capabilities, ClaimRequest, Dialect, Driving, EmbeddingInput, Embeddings, Engine, ErrorCode,
    FencingToken, Finish, FinishReason, GenerationRequest, Logprob, ModelDescription, Prefill, Prompt, ReasoningFormat,
    RequestError, RequestId, SchedulerId, Started, Timings, Token, TokenEvent, TokenId, Usage,
};
use hostler_scheduler::{Generation, Scheduler, SchedulerSnapshot, SchedulerState, TokenizeInput};
use std::sync::Mutex;
use tokio::sync::{Semaphore, watch};

/// The vector of every text.
pub(crate) const EMBEDDING: [f32; 3] = [0.5, -0.25, 1.0];

/// The words of its answer.
const WORDS: [&str; 4] = ["one", " two", " three", " four"];

/// A prompt with this prefix is answered with the rest of it, in tokens of three characters.
pub(crate) const SAY: &str = "say:";

/// Its prompts have one token per character, its answers one token per word.
pub(crate) struct FakeScheduler {
    id: SchedulerId,
    snapshot: watch::Sender<SchedulerSnapshot>,
    /// Every request that it received.
    pub(crate) requests: Mutex<Vec<GenerationRequest>>,
    /// The ids of `cancel` calls.
    pub(crate) cancelled: Mutex<Vec<RequestId>>,
    /// Permits to send the words of a `gated` prompt.
    pub(crate) gate: Arc<Semaphore>,
    /// The number of generations that exist.
    pub(crate) alive: watch::Sender<i32>,
    drained: AtomicU32,
}

impl FakeScheduler {
    pub(crate) fn new(model: &str, engine: Engine) -> Self {
        let description = ModelDescription {
            model: model.into(),
            engine,
            device: "cpu".to_owned(),
            weight_format: "Q8_0".to_owned(),
            weight_bytes: 1000,
            context_length: 2048,
            kv_capacity_tokens: 4096,
            vocabulary_size: 256,
            driving: Driving { max_sequences: 8, batching: Batching::Ragged, prefill: Prefill::Blocking },
            capabilities: Capabilities {
                constraints: true,
                top_logprobs_max: Some(20),
                chat: true,
                embedding_dimensions: Some(EMBEDDING.len() as u32),
            },
            dialect: Dialect { reasoning: Some(ReasoningFormat::ThinkTags), ..Dialect::default() },
        };
        let id = SchedulerId::new(format!("{model}-0"));
        let snapshot = SchedulerSnapshot {
            state: SchedulerState::Serving,
            description: Some(Arc::new(description)),
            running: 1,
            waiting: [0, 2, 1],
            kv_reserved_tokens: 100,
            outstanding_tokens: 50,
            estimated_wait: Duration::from_millis(1500),
            steps: 7,
            since_last_step: Duration::from_micros(250),
            ..SchedulerSnapshot::starting(id, model.into(), 8)
        };
        Self {
            id: snapshot.id.clone(),
            snapshot: watch::Sender::new(snapshot),
            requests: Mutex::default(),
            cancelled: Mutex::default(),
            gate: Arc::new(Semaphore::new(0)),
            alive: watch::Sender::new(0),
            drained: AtomicU32::new(0),
        }
    }

    /// Changes its state.
    pub(crate) fn enter(&self, state: SchedulerState) {
        self.snapshot.send_modify(|snapshot| snapshot.state = state);
    }

    pub(crate) fn drained(&self) -> u32 {
        self.drained.load(Ordering::Relaxed)
    }

    /// The last request that it received.
    pub(crate) fn last(&self) -> GenerationRequest {
        self.requests.lock().expect("not poisoned").last().cloned().expect("it received a request")
    }

    fn words(request: &GenerationRequest) -> Vec<TokenEvent> {
        let count = request.stop.max_tokens.unwrap_or(4) as usize;
        let word = |(index, text): (usize, &str)| {
            let id = TokenId::try_from(index).expect("few words");
            let top = request.top_logprobs.map(|top| (0..top).map(|other| (other, -1.5)).collect());
            let logprob = top.map(|top| Logprob { logprob: if index == 1 { f32::NEG_INFINITY } else { -0.5 }, top });
            TokenEvent::Token(Token { id, text: text.to_owned(), logprob })
        };
        WORDS.into_iter().cycle().take(count).enumerate().map(word).collect()
    }

    fn pieces_of(text: &str) -> Vec<TokenEvent> {
        let characters: Vec<char> = text.chars().collect();
        let token = |piece: &[char]| TokenEvent::Token(Token { id: 0, text: piece.iter().collect(), logprob: None });
        characters.chunks(3).map(token).collect()
    }

    fn finish(request: &GenerationRequest, prompt_tokens: u32, completion_tokens: usize) -> TokenEvent {
        let stopped = matches!(&request.prompt, Prompt::Chat(chat) if chat.messages.last().is_some_and(|last| last.content == "stopped"));
        let says = matches!(&request.prompt, Prompt::Chat(chat) if chat.messages.last().is_some_and(|last| last.content.starts_with(SAY)));
        let limited = request.stop.max_tokens.is_some() && !stopped && !says;
        let completion_tokens = u32::try_from(completion_tokens).expect("few words");
        TokenEvent::Finished(Finish {
            reason: if limited { FinishReason::Length } else { FinishReason::Stop },
            text: if limited || says { String::new() } else { "!".to_owned() },
            stop_sequence: request.stop.sequences.first().filter(|_| stopped).cloned(),
            usage: Usage { prompt_tokens, cached_tokens: 1, completion_tokens },
            timings: Timings {
                queue: Duration::from_micros(1500),
                prefill: Duration::from_millis(20),
                decode: Duration::from_millis(30),
            },
        })
    }
}

/// Counts a generation while it exists.
struct Alive(watch::Sender<i32>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

fn failure(code: ErrorCode) -> RequestError {
    RequestError::new(code, "as the prompt requested")
}

#[async_trait]
impl Scheduler for FakeScheduler {
    fn id(&self) -> &SchedulerId {
        &self.id
    }

    fn snapshot(&self) -> watch::Receiver<SchedulerSnapshot> {
        self.snapshot.subscribe()
    }

    async fn submit(&self, request: GenerationRequest) -> Result<Generation, RequestError> {
        self.requests.lock().expect("not poisoned").push(request.clone());
        let prompt = match &request.prompt {
            Prompt::Text(text) => text.clone(),
            Prompt::Chat(chat) => chat.messages.last().map_or_else(String::new, |message| message.content.clone()),
            Prompt::Tokens(tokens) => "t".repeat(tokens.len()),
        };
        let prompt_tokens = u32::try_from(prompt.chars().count()).expect("a short prompt");
        let mut events = vec![TokenEvent::Started(Started { prompt_tokens })];
        let words = prompt.strip_prefix(SAY).map_or_else(|| Self::words(&request), Self::pieces_of);
        let finish = Self::finish(&request, prompt_tokens, words.len());
        let mut gate = None;
        let mut hangs = false;
        match prompt.as_str() {
            "refuse" => {
                return Err(RequestError {
                    estimated_wait: Some(Duration::from_millis(2500)),
                    ..failure(ErrorCode::Overloaded).with_retry_after(Duration::from_millis(1200))
                });
            }
            "too long" => return Err(RequestError::invalid("messages", "the prompt is too long")),
            "fail at once" => events.push(TokenEvent::Failed(failure(ErrorCode::EngineFailed))),
            "fail later" => {
                events.extend(words.into_iter().take(2));
                events.push(TokenEvent::Failed(failure(ErrorCode::EngineFailed)));
            }
            "hang" => hangs = true,
            "gated" => {
                events.extend(words);
                events.push(finish);
                gate = Some(Arc::clone(&self.gate));
            }
            _ => {
                events.extend(words);
                events.push(finish);
            }
        }
        self.alive.send_modify(|alive| *alive += 1);
        let alive = Alive(self.alive.clone());
        // Chained before the guard, which must outlive the last event.
        let events = stream::iter(events);
        let events = if hangs { events.chain(stream::pending()).boxed() } else { events.boxed() };
        let events = events.then(move |event| {
            let _ = &alive;
            let gate = gate.clone().filter(|_| matches!(event, TokenEvent::Token(_)));
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await.expect("never closed").forget();
                }
                event
            }
        });
        Ok(Generation { scheduler: self.id.clone(), prompt_tokens, starts_in_reasoning: false, events: events.boxed() })
    }

    async fn tokenize(&self, input: TokenizeInput) -> Result<Vec<TokenId>, RequestError> {
        let text = match input {
            TokenizeInput::Text { text, .. } => text,
            TokenizeInput::Chat(chat) => chat.messages.into_iter().map(|message| message.content).collect(),
        };
        Ok(text.bytes().map(TokenId::from).collect())
    }

    async fn detokenize(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        let bytes: Result<Vec<u8>, _> = tokens.into_iter().map(u8::try_from).collect();
        let bytes = bytes.map_err(|_| RequestError::invalid("tokens", "a token is not in the vocabulary"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Token 3 is part of a character.
    async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        let piece = |token| match token {
            3 => vec![0xc3],
            token => WORDS[token as usize % WORDS.len()].as_bytes().to_vec(),
        };
        if tokens.iter().any(|&token| token > 255) {
            return Err(RequestError::invalid("tokens", "a token is not in the vocabulary"));
        }
        Ok(tokens.into_iter().map(piece).collect())
    }

    async fn embed(&self, inputs: Vec<EmbeddingInput>) -> Result<Embeddings, RequestError> {
        let tokens = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(text) if text == "hang" => Err(()),
            EmbeddingInput::Text(text) => Ok(text.chars().count()),
            EmbeddingInput::Tokens(tokens) => Ok(tokens.len()),
        };
        match inputs.iter().map(tokens).sum::<Result<usize, ()>>() {
            Ok(tokens) => Ok(Embeddings {
                vectors: vec![EMBEDDING.to_vec(); inputs.len()],
                prompt_tokens: u32::try_from(tokens).expect("short texts"),
            }),
            Err(()) => std::future::pending().await,
        }
    }

    async fn cancel(&self, id: RequestId) -> bool {
        self.cancelled.lock().expect("not poisoned").push(id);
        true
    }

    async fn drain(&self) {
        self.drained.fetch_add(1, Ordering::Relaxed);
        self.enter(SchedulerState::Draining);
        let mut alive = self.alive.subscribe();
        alive.wait_for(|&alive| alive == 0).await.expect("the sender lives");
        self.enter(SchedulerState::Stopped);
    }

    async fn resume(&self) {
        self.enter(SchedulerState::Serving);
    }

    async fn claim(&self, _: ClaimRequest) -> Result<FencingToken, RequestError> {
        Err(failure(ErrorCode::Unavailable))
    }

    async fn heartbeat(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    async fn release(&self, _: FencingToken) -> Result<bool, RequestError> {
        Ok(false)
    }

    fn executor(&self) -> Option<Arc<dyn ModelExecutor>> {
        None
    }
}
