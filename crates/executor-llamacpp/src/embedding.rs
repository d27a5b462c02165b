//! Embeddings, computed between the steps of the running sequences: one chunk of one text
//! per step, in a KV cache of their own, so that sequences are not affected and wait for
//! at most one chunk.

mod forward;
mod pool;

use std::collections::VecDeque;

use futures::channel::oneshot;
use hostler_protocol::{ErrorCode, RequestError, TokenId};

pub(crate) use self::forward::{EmbeddingForward, LlamaEmbeddingForward};
use self::pool::Pool;
pub(crate) use self::pool::Pooling;

/// A validated text, and the channel for its embedding.
pub(crate) struct EmbeddingJob {
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) reply: oneshot::Sender<Result<Vec<f32>, RequestError>>,
}

impl EmbeddingJob {
    pub(crate) fn fail(self, code: ErrorCode, message: impl Into<String>) {
        // The caller may have dropped its future.
        let _ = self.reply.send(Err(RequestError::new(code, message)));
    }
}

/// Computes the embeddings of one model, one text after the other.
pub(crate) struct Embedder<F> {
    forward: F,
    pooling: Pooling,
    /// Maximum tokens of a chunk. It is constant, so that a text is always split in the
    /// same way and its embedding is the same to the last bit.
    chunk: usize,
    waiting: VecDeque<EmbeddingJob>,
    current: Option<CurrentText>,
}

/// The text that is being processed.
struct CurrentText {
    job: EmbeddingJob,
    /// Number of tokens processed so far.
    fed: usize,
    pool: Pool,
}

impl<F: EmbeddingForward> Embedder<F> {
    pub(crate) fn new(forward: F, pooling: Pooling, chunk: usize) -> Self {
        Self { forward, pooling, chunk, waiting: VecDeque::new(), current: None }
    }

    pub(crate) fn submit(&mut self, job: EmbeddingJob) {
        self.waiting.push_back(job);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Processes the next chunk, if there is one. A failure only ends its own text, because
    /// the next text starts with an empty cache.
    pub(crate) fn step(&mut self) {
        let Some(mut text) = self.next() else { return };
        let end = (text.fed + self.chunk).min(text.job.tokens.len());
        let chunk = &text.job.tokens[text.fed..end];
        if let Err(reason) = self.forward.feed(text.fed, chunk) {
            return text.job.fail(ErrorCode::EngineFailed, format!("the engine failed: {reason}"));
        }
        for index in 0..chunk.len() {
            text.pool.add(self.forward.vector(index));
        }
        text.fed = end;
        if end < text.job.tokens.len() {
            self.current = Some(text);
        } else {
            // The caller may have dropped its future.
            let _ = text.job.reply.send(Ok(text.pool.finish()));
        }
    }

    /// The current text, or the next one whose caller still waits.
    fn next(&mut self) -> Option<CurrentText> {
        let wanted = |job: &EmbeddingJob| !job.reply.is_canceled();
        if let Some(text) = self.current.take()
            && wanted(&text.job)
        {
            return Some(text);
        }
        while let Some(job) = self.waiting.pop_front() {
            if wanted(&job) {
                return Some(CurrentText { job, fed: 0, pool: Pool::new(self.pooling) });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 4;

    /// The vector of a token contains its id. It keeps the tokens, as a cache does.
    #[derive(Default)]
    struct FakeForward {
        held: Vec<TokenId>,
        vectors: Vec<[f32; 2]>,
        longest_chunk: usize,
        fails: bool,
    }

    impl EmbeddingForward for FakeForward {
        fn feed(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String> {
            if self.fails {
                return Err("out of memory".into());
            }
            if position == 0 {
                self.held.clear();
            }
            assert_eq!(self.held.len(), position, "positions must be consecutive");
            self.held.extend_from_slice(tokens);
            self.longest_chunk = self.longest_chunk.max(tokens.len());
            self.vectors = tokens.iter().map(|&token| [token as f32, 1.0]).collect();
            Ok(())
        }

        fn vector(&self, index: usize) -> &[f32] {
            &self.vectors[index]
        }
    }

    fn job(tokens: &[TokenId]) -> (EmbeddingJob, oneshot::Receiver<Result<Vec<f32>, RequestError>>) {
        let (reply, answer) = oneshot::channel();
        (EmbeddingJob { tokens: tokens.to_vec(), reply }, answer)
    }

    fn embedder() -> Embedder<FakeForward> {
        Embedder::new(FakeForward::default(), Pooling::Mean, CHUNK)
    }

    #[test]
    fn a_text_is_processed_in_chunks_and_averaged() {
        let mut embedder = embedder();
        let (first, mut first_vector) = job(&[3; 10]);
        let (second, mut second_vector) = job(&[0]);
        embedder.submit(first);
        embedder.submit(second);
        for step in 0..4 {
            assert_eq!(embedder.is_idle(), step > 3);
            assert_eq!(first_vector.try_recv().expect("it is not dropped"), None, "after {step} steps");
            embedder.step();
            if step == 2 {
                break;
            }
        }
        let vector = first_vector.try_recv().expect("sent").expect("three chunks").expect("computed");
        assert!((vector[0] / vector[1] - 3.0).abs() < 1e-6 && (vector[0].hypot(vector[1]) - 1.0).abs() < 1e-6);
        embedder.step();
        assert_eq!(second_vector.try_recv().expect("sent"), Some(Ok(vec![0.0, 1.0])));
        assert!(embedder.is_idle());
        assert_eq!(embedder.forward.longest_chunk, CHUNK);
    }

    #[test]
    fn a_text_whose_caller_left_is_abandoned() {
        let mut embedder = embedder();
        let (abandoned, answer) = job(&[1; 100]);
        let (other, mut vector) = job(&[5]);
        embedder.submit(abandoned);
        embedder.submit(other);
        embedder.step();
        drop(answer);
        embedder.step();
        assert!(vector.try_recv().expect("sent").expect("it was next").is_ok());
        assert!(embedder.is_idle());
    }

    #[test]
    fn a_failure_ends_its_own_text_only() {
        let mut embedder = embedder();
        let (first, mut failed) = job(&[1]);
        embedder.submit(first);
        embedder.forward.fails = true;
        embedder.step();
        let error = failed.try_recv().expect("sent").expect("answered").expect_err("it failed");
        assert_eq!(error.code, ErrorCode::EngineFailed);
        embedder.forward.fails = false;
        let (second, mut vector) = job(&[1]);
        embedder.submit(second);
        embedder.step();
        assert!(vector.try_recv().expect("sent").expect("answered").is_ok());
    }
}
