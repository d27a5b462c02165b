//! The engine under test, and the operations that the checks run on it.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures::{StreamExt, stream};
use hostler_protocol::{
    Constraint, ErrorCode, Finish, FinishReason, ModelDescription, RequestError, Started, TenantId, Token, TokenEvent,
    TokenId,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::report::ensure;
use super::{ContractOptions, Violation};
use crate::{
    CompiledConstraint, EndReport, ExecutorFactory, ModelExecutor, Sequence, SequenceObserver, TokenStream,
    token_channel,
};

/// Prompts of different content and different length.
const PROMPTS: [&str; 8] = [
    "The capital of France is",
    "Once upon a time there was a small green frog who",
    "def fibonacci(n):\n    ",
    "1, 2, 3, 4, 5,",
    "The three most important things to know about the sea are that it is wide, that it is deep, and that",
    "Dear Sir or Madam,\n\nI am writing to",
    "Water boils at",
    "A horse walks into a bar. The bartender says: why",
];

/// An engine under test.
pub struct Subject {
    executor: Arc<dyn ModelExecutor>,
    options: ContractOptions,
    runtime: Runtime,
}

/// The events of a sequence that finished.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// The `Started` event.
    pub started: Started,
    /// The tokens.
    pub tokens: Vec<Token>,
    /// The `Finished` event.
    pub finish: Finish,
}

impl Completed {
    /// The token ids.
    #[must_use]
    pub fn ids(&self) -> Vec<TokenId> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    /// The whole text, as a client receives it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text: String = self.tokens.iter().map(|token| token.text.as_str()).collect();
        text.push_str(&self.finish.text);
        text
    }
}

/// The events of a sequence that finished or failed.
pub(super) struct Ended {
    started: Option<Started>,
    pub(super) tokens: Vec<Token>,
    pub(super) last: Result<Finish, RequestError>,
}

impl Subject {
    /// Takes a loaded engine.
    ///
    /// # Errors
    /// If no runtime can be created.
    pub fn new(executor: Arc<dyn ModelExecutor>, options: ContractOptions) -> Result<Self, Violation> {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| Violation(format!("cannot create a runtime: {error}")))?;
        Ok(Self { executor, options, runtime })
    }

    /// Loads an engine.
    ///
    /// # Errors
    /// If the engine does not load.
    pub fn load(factory: &dyn ExecutorFactory, options: ContractOptions) -> Result<Self, Violation> {
        let executor = factory.load(&()).map_err(|error| Violation(format!("the engine does not load: {error}")))?;
        Self::new(executor, options)
    }

    /// Returns the engine; dropping its last reference stops it.
    pub(super) fn into_parts(self) -> (Arc<dyn ModelExecutor>, ContractOptions, Runtime) {
        (self.executor, self.options, self.runtime)
    }

    pub(super) fn executor(&self) -> &dyn ModelExecutor {
        self.executor.as_ref()
    }

    pub(super) fn description(&self) -> &ModelDescription {
        self.executor.description()
    }

    pub(super) fn options(&self) -> &ContractOptions {
        &self.options
    }

    pub(super) fn max_sequences(&self) -> usize {
        self.description().driving.max_sequences as usize
    }

    /// The tokens of a text, encoded as the prompt of a completion.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<TokenId>, Violation> {
        let tokens = self.executor.text().encode(text, true);
        tokens.map_err(|error| Violation(format!("cannot encode {text:?}: {error}")))
    }

    /// The tokens of one of eight different prompts.
    pub(super) fn prompt(&self, index: usize) -> Result<Vec<TokenId>, Violation> {
        self.encode(PROMPTS[index % PROMPTS.len()])
    }

    /// A greedy sequence of `answer_tokens` tokens that ignores the end of sequence.
    pub(super) fn greedy(&self, prompt: usize) -> Result<Sequence, Violation> {
        let mut sequence = Sequence::greedy(self.prompt(prompt)?, self.options.answer_tokens);
        sequence.stop.ignore_eos = true;
        Ok(sequence)
    }

    /// A greedy sequence for each prompt.
    pub(super) fn greedy_all(&self) -> Result<Vec<Sequence>, Violation> {
        (0..PROMPTS.len()).map(|prompt| self.greedy(prompt)).collect()
    }

    /// A greedy sequence that is still running when a check interrupts it, provided
    /// that the engine does not do 2,000 steps before.
    pub(super) fn long(&self, prompt: usize) -> Result<Sequence, Violation> {
        let mut sequence = self.greedy(prompt)?;
        let room = self.description().context_length.saturating_sub(sequence.tokens.len() as u32);
        sequence.max_new_tokens = room.min(2_000);
        Ok(sequence)
    }

    /// Waits for `future`, at most for the configured patience.
    pub(super) fn wait<T>(&self, what: &str, future: impl Future<Output = T>) -> Result<T, Violation> {
        let patience = self.options.patience;
        let waited = self.runtime.block_on(async { timeout(patience, future).await });
        waited.map_err(|_| Violation(format!("{what}: nothing happened for {patience:?}")))
    }

    /// Runs one sequence alone, to its end.
    pub(super) fn run(&self, sequence: Sequence) -> Result<Completed, Violation> {
        completed(self.end_of(sequence)?)
    }

    /// Runs sequences concurrently, as many at once as the engine allows.
    pub(super) fn run_together(&self, sequences: Vec<Sequence>) -> Result<Vec<Completed>, Violation> {
        let running = sequences.into_iter().enumerate().map(|(index, sequence)| async move {
            let stream = self.executor.generate(sequence);
            (index, collect(stream).await)
        });
        let ended = stream::iter(running).buffer_unordered(self.max_sequences()).collect::<Vec<_>>();
        let mut ended = self.wait("concurrent sequences", ended)?;
        ended.sort_by_key(|(index, _)| *index);
        ended.into_iter().map(|(_, ended)| completed(ended?)).collect()
    }

    /// Runs one sequence until it finishes or fails.
    pub(super) fn end_of(&self, sequence: Sequence) -> Result<Ended, Violation> {
        let stream = self.executor.generate(sequence);
        self.collect(stream)
    }

    /// Reads a stream to its end.
    pub(super) fn collect(&self, stream: TokenStream) -> Result<Ended, Violation> {
        self.wait("the events of a sequence", collect(stream))?
    }

    /// Reads `count` tokens of a stream that has more.
    pub(super) fn read_tokens(&self, stream: &mut TokenStream, count: u32) -> Result<(), Violation> {
        let mut seen = 0;
        while seen < count {
            match self.wait("the next token", stream.next_event())? {
                Some(TokenEvent::Started(_)) => {}
                Some(TokenEvent::Token(_)) => seen += 1,
                other => return Err(Violation(format!("{other:?} arrived after {seen} of {count} tokens"))),
            }
        }
        Ok(())
    }

    /// Reads the rest of a stream and returns how it ended.
    pub(super) fn collect_rest(&self, mut stream: TokenStream) -> Result<Result<Finish, RequestError>, Violation> {
        loop {
            match self.wait("the rest of a sequence", stream.next_event())? {
                Some(TokenEvent::Started(_) | TokenEvent::Token(_)) => {}
                Some(TokenEvent::Finished(finish)) => return Ok(Ok(finish)),
                Some(TokenEvent::Failed(error)) => return Ok(Err(error)),
                None => return Err(Violation("the stream ended without Finished or Failed".into())),
            }
        }
    }

    /// Starts a sequence with an observer on the engine's side.
    pub(super) fn start_watched(&self, sequence: &Sequence) -> (TokenStream, Watch) {
        let (ended, report) = mpsc::channel();
        let tokens = Arc::<AtomicU32>::default();
        let (sink, stream) = token_channel(sequence, Some(Box::new(Watcher { tokens: tokens.clone(), ended })));
        self.executor.start(sequence.clone(), sink);
        (stream, Watch { tokens, report, patience: self.options.patience })
    }

    /// The embedding of a text, or the engine's error.
    pub(super) fn embed(&self, tokens: Vec<TokenId>) -> Result<Result<Vec<f32>, RequestError>, Violation> {
        self.wait("an embedding", self.executor.embed(tokens))
    }

    /// A constraint at the beginning of an answer, or the engine's error.
    pub(super) fn compile(
        &self,
        constraint: Constraint,
    ) -> Result<Result<CompiledConstraint, RequestError>, Violation> {
        self.wait("a constraint", self.executor.compile(&TenantId::default(), constraint, Vec::new()))
    }

    /// Checks that the engine rejects a sequence as an invalid request.
    pub(super) fn must_reject(&self, what: &str, sequence: Sequence) -> Result<(), Violation> {
        let ended = self.end_of(sequence)?;
        ensure!(ended.tokens.is_empty(), "{what}: {} tokens arrived before the rejection", ended.tokens.len());
        match ended.last {
            Err(error) if error.code == ErrorCode::InvalidRequest => {
                ensure!(!error.message.is_empty(), "{what}: the rejection gives no reason");
                Ok(())
            }
            other => Err(Violation(format!("{what} must be rejected as an invalid request, but ended in {other:?}"))),
        }
    }
}

/// What the engine reports to the observer of a sequence.
pub(super) struct Watch {
    tokens: Arc<AtomicU32>,
    report: mpsc::Receiver<EndReport>,
    patience: Duration,
}

impl Watch {
    /// Number of tokens generated so far, read or unread.
    pub(super) fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Waits for the report of the end. (No runtime runs during this wait, so no task
    /// reads the stream either.)
    pub(super) fn ended(&self) -> Result<EndReport, Violation> {
        let report = self.report.recv_timeout(self.patience);
        report.map_err(|_| Violation(format!("the engine did not end a sequence within {:?}", self.patience)))
    }
}

/// Counts tokens, and sends the report of the end to the [`Watch`].
struct Watcher {
    tokens: Arc<AtomicU32>,
    ended: mpsc::Sender<EndReport>,
}

impl SequenceObserver for Watcher {
    fn started(&mut self, _queue: Duration) {}

    fn token(&mut self, index: u32, _gap: Duration) {
        self.tokens.store(index + 1, Ordering::Relaxed);
    }

    fn ended(&mut self, report: &EndReport) {
        // A check that failed early has dropped its `Watch`.
        let _ = self.ended.send(*report);
    }
}

/// Reads a stream to its end, and checks the order of its events.
async fn collect(mut stream: TokenStream) -> Result<Ended, Violation> {
    let mut started = None;
    let mut tokens = Vec::new();
    let last = loop {
        match stream.next_event().await {
            Some(TokenEvent::Started(event)) => {
                ensure!(started.is_none() && tokens.is_empty(), "Started arrived twice, or after a token");
                started = Some(event);
            }
            Some(TokenEvent::Token(token)) => {
                ensure!(started.is_some(), "a token arrived before Started");
                tokens.push(token);
            }
            Some(TokenEvent::Finished(finish)) => break Ok(finish),
            Some(TokenEvent::Failed(error)) => break Err(error),
            None => return Err(Violation("the stream ended without Finished or Failed".into())),
        }
    };
    let after = stream.next_event().await;
    ensure!(after.is_none(), "an event arrived after the final one: {after:?}");
    Ok(Ended { started, tokens, last })
}

/// The events of a sequence that finished, with its counts checked.
fn completed(ended: Ended) -> Result<Completed, Violation> {
    let Ended { started, tokens, last } = ended;
    let finish = last.map_err(|error| Violation(format!("it failed ({}): {error}", error.code.as_str())))?;
    let started = started.ok_or_else(|| Violation("it finished without a Started event".into()))?;
    let counted = finish.usage.completion_tokens as usize;
    ensure!(counted == tokens.len(), "usage counts {counted} completion tokens, but {} arrived", tokens.len());
    ensure!(
        finish.usage.prompt_tokens == started.prompt_tokens,
        "Started reports {} prompt tokens, the usage {}",
        started.prompt_tokens,
        finish.usage.prompt_tokens
    );
    ensure!(
        finish.usage.cached_tokens < started.prompt_tokens.max(1),
        "{} of {} prompt tokens were reused; the last one must be computed",
        finish.usage.cached_tokens,
        started.prompt_tokens
    );
    ensure!(finish.reason == FinishReason::Stop || !tokens.is_empty(), "it finished by length without a token");
    Ok(Completed { started, tokens, finish })
}
