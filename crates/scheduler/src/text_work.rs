//! Tokenizing and detokenizing. Clients determine how long that takes, so long texts are
//! processed on threads of their own, never on one that serves I/O or an actor: bounded,
//! with turns for each tenant, and skipped if the client has left.

use std::sync::Arc;

use hostler_dialect::{ends_in_reasoning, reasoning_span};
use hostler_executor::{ModelExecutor, TextCodec, TextError};
use hostler_protocol::{ErrorCode, Prompt, ReasoningSpan, RequestError, TenantId, TokenId};
use hostler_util::{FairPool, PoolError, PoolLimits};

/// Texts from this length on are processed on the pool. Shorter ones take less than about a
/// millisecond.
const LONG_TEXT_BYTES: usize = 8 * 1024;

/// Bytes of text that one token makes at least, for the same bound on tokens.
const BYTES_PER_TOKEN: usize = 4;

/// Threads of an engine. A text of 1 MiB occupies one for up to a second.
const THREADS: usize = 2;

/// The default of Rust's own threads.
const STACK_BYTES: usize = 2 << 20;

/// Maximum numbers of texts that wait, each with up to 1 MiB by default.
const LIMITS: PoolLimits = PoolLimits { of_one: 64, of_all: 512 };

/// Who waits for a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TextOwner {
    /// A tenant's generation.
    Generation(TenantId),
    /// A call of /tokenize and the like, or embeddings. They do not say whose they are.
    Call,
}

/// The text codec of an engine, and the threads for long texts.
pub(crate) struct TextWork {
    executor: Arc<dyn ModelExecutor>,
    pool: FairPool<TextOwner>,
}

impl TextWork {
    pub(crate) fn start(executor: Arc<dyn ModelExecutor>) -> Self {
        let pool = FairPool::start("text", THREADS, STACK_BYTES, LIMITS, || ());
        Self { executor, pool: pool.expect("a process that can start no thread cannot run an engine either") }
    }

    /// Tokenizes a prompt, and tells the reasoning of its answer: none for a prompt that is no
    /// conversation, and for a model that does not reason.
    ///
    /// # Errors
    /// As [`tokenize`](Self::tokenize).
    pub(crate) async fn tokenize_prompt(
        &self,
        owner: TextOwner,
        prompt: Prompt,
    ) -> Result<(Vec<TokenId>, Option<ReasoningSpan>), RequestError> {
        let Prompt::Chat(chat) = prompt else { return Ok((self.tokenize(owner, prompt).await?, None)) };
        let format = self.executor.description().dialect.reasoning;
        self.run(owner, chat.text_bytes(), move |text| {
            let rendered = text.render_chat(&chat)?;
            let span = |format| reasoning_span(format, ends_in_reasoning(&rendered, format));
            Ok((text.encode(&rendered, false)?, format.map(span)))
        })
        .await
    }

    /// Tokenizes a prompt.
    ///
    /// # Errors
    /// `InvalidRequest`, `Overloaded`, or `Internal` if the tokenizer panicked.
    pub(crate) async fn tokenize(&self, owner: TextOwner, prompt: Prompt) -> Result<Vec<TokenId>, RequestError> {
        let bytes = match &prompt {
            Prompt::Tokens(_) => 0,
            Prompt::Text(text) => text.len(),
            Prompt::Chat(chat) => chat.text_bytes(),
        };
        self.run(owner, bytes, move |text| match prompt {
            Prompt::Tokens(tokens) => Ok(tokens),
            Prompt::Text(prompt) => text.encode(&prompt, true),
            Prompt::Chat(chat) => text.encode(&text.render_chat(&chat)?, false),
        })
        .await
    }

    /// Tokenizes a text without special tokens.
    ///
    /// # Errors
    /// As [`tokenize`](Self::tokenize).
    pub(crate) async fn encode_plain(&self, text: String) -> Result<Vec<TokenId>, RequestError> {
        self.run(TextOwner::Call, text.len(), move |codec| codec.encode(&text, false)).await
    }

    /// Decodes tokens.
    ///
    /// # Errors
    /// As [`tokenize`](Self::tokenize).
    pub(crate) async fn decode(&self, tokens: Vec<TokenId>) -> Result<String, RequestError> {
        self.run(TextOwner::Call, tokens.len() * BYTES_PER_TOKEN, move |codec| codec.decode(&tokens)).await
    }

    /// The bytes of each token.
    ///
    /// # Errors
    /// As [`tokenize`](Self::tokenize).
    pub(crate) async fn pieces(&self, tokens: Vec<TokenId>) -> Result<Vec<Vec<u8>>, RequestError> {
        let bytes = tokens.len() * BYTES_PER_TOKEN;
        self.run(TextOwner::Call, bytes, move |codec| tokens.into_iter().map(|token| codec.piece(token)).collect())
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        owner: TextOwner,
        bytes: usize,
        work: impl FnOnce(&dyn TextCodec) -> Result<T, TextError> + Send + 'static,
    ) -> Result<T, RequestError> {
        if bytes < LONG_TEXT_BYTES {
            return Ok(work(self.executor.text())?);
        }
        let executor = Arc::clone(&self.executor);
        match self.pool.run(owner, move || work(executor.text())).await {
            Ok(result) => Ok(result?),
            Err(PoolError::Full) => Err(RequestError::new(
                ErrorCode::Overloaded,
                "too many long texts are waiting to be tokenized; retry in a second",
            )),
            Err(PoolError::Panicked) => {
                Err(RequestError::new(ErrorCode::Internal, "the tokenizer failed on this text"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::FutureExt;
    use futures::executor::block_on;
    use hostler_executor::ExecutorFactory;
    use hostler_executor::simulated::{SimulatedConfig, SimulatedFactory};

    use super::*;

    #[test]
    fn long_texts_wait_for_the_pool_and_short_ones_do_not() {
        let factory = SimulatedFactory::new("m", SimulatedConfig::default()).expect("the defaults are allowed");
        let work = TextWork::start(factory.load(&()).expect("it loads"));
        let long = "a ".repeat(LONG_TEXT_BYTES);
        let tokens = block_on(work.encode_plain(long.clone())).expect("it is a text");
        let releases: Vec<mpsc::Sender<()>> = (0..THREADS)
            .map(|_| {
                let (release, released) = mpsc::channel();
                work.pool
                    .submit(TextOwner::Call, move || {
                        let _ = released.recv();
                    })
                    .expect("there is room");
                release
            })
            .collect();

        let mut plain = Box::pin(work.encode_plain(long.clone()));
        let mut prompt = Box::pin(work.tokenize(TextOwner::Generation("a".into()), Prompt::Text(long.clone())));
        let mut decoded = Box::pin(work.decode(tokens.clone()));
        let mut pieces = Box::pin(work.pieces(tokens.clone()));
        assert!((&mut plain).now_or_never().is_none() && (&mut prompt).now_or_never().is_none());
        assert!((&mut decoded).now_or_never().is_none() && (&mut pieces).now_or_never().is_none());
        assert!(matches!(work.encode_plain("short".to_owned()).now_or_never(), Some(Ok(_))));

        drop(releases);
        assert_eq!(block_on(plain).as_ref(), Ok(&tokens));
        assert!(block_on(prompt).is_ok());
        assert_eq!(block_on(decoded).as_ref(), Ok(&long));
        assert_eq!(block_on(pieces).map(|pieces| pieces.concat()), Ok(long.into_bytes()));
    }

    #[test]
    fn calls_cannot_fill_the_queue_of_generations() {
        let factory = SimulatedFactory::new("m", SimulatedConfig::default()).expect("the defaults are allowed");
        let work = TextWork::start(factory.load(&()).expect("it loads"));
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(std::sync::Mutex::new(released));
        for _ in 0..THREADS {
            let released = Arc::clone(&released);
            let wait = move || {
                let _ = released.lock().map(|released| released.recv());
            };
            work.pool.submit(TextOwner::Generation("blocker".into()), wait).expect("there is room");
        }
        let long = "a".repeat(LONG_TEXT_BYTES);
        let mut flood: Vec<_> = (0..LIMITS.of_one).map(|_| Box::pin(work.encode_plain(long.clone()))).collect();
        assert!(flood.iter_mut().all(|call| call.now_or_never().is_none()));
        let refused = work.encode_plain(long.clone()).now_or_never().expect("it is refused at once");
        assert_eq!(refused.expect_err("the queue is full").code, ErrorCode::Overloaded);
        let prompt = work.tokenize(TextOwner::Generation("a".into()), Prompt::Text(long));
        let mut prompt = Box::pin(prompt);
        assert!((&mut prompt).now_or_never().is_none(), "it waits for its turn");
        drop(release);
        assert!(block_on(prompt).is_ok());
    }
}
