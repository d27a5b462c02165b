//! Vectors that stand for texts, made beside the running sequences: one piece of one
//! text a step, in a cache of their own, so that nothing of a sequence is touched and
//! none waits longer than a piece takes.

mod pool;
mod reader;

use std::collections::VecDeque;

use futures::channel::oneshot;
use hostler_protocol::{ErrorCode, RequestError, TokenId};

use self::pool::Pool;
pub(crate) use self::pool::Pooling;
pub(crate) use self::reader::{LlamaReader, Reader};

/// A text that has been checked, and who waits for its vector.
pub(crate) struct EmbeddingJob {
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) reply: oneshot::Sender<Result<Vec<f32>, RequestError>>,
}

impl EmbeddingJob {
    pub(crate) fn fail(self, code: ErrorCode, message: impl Into<String>) {
        // Whoever has left does not need to know.
        let _ = self.reply.send(Err(RequestError::new(code, message)));
    }
}

/// The texts of one model, one after the other.
pub(crate) struct Embedder<R> {
    reader: R,
    pooling: Pooling,
    /// Most tokens of a piece. It is always the same, so that a text is always read
    /// in the same pieces, and has the same vector to the last bit.
    chunk: usize,
    waiting: VecDeque<EmbeddingJob>,
    current: Option<Reading>,
}

/// The text that is being read.
struct Reading {
    job: EmbeddingJob,
    read: usize,
    pool: Pool,
}

impl<R: Reader> Embedder<R> {
    pub(crate) fn new(reader: R, pooling: Pooling, chunk: usize) -> Self {
        Self { reader, pooling, chunk, waiting: VecDeque::new(), current: None }
    }

    pub(crate) fn submit(&mut self, job: EmbeddingJob) {
        self.waiting.push_back(job);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// Reads the next piece, if there is one. A failure ends its text alone: the next
    /// text begins with an empty cache.
    pub(crate) fn step(&mut self) {
        let Some(mut reading) = self.next() else { return };
        let end = (reading.read + self.chunk).min(reading.job.tokens.len());
        let piece = &reading.job.tokens[reading.read..end];
        if let Err(reason) = self.reader.read(reading.read, piece) {
            return reading.job.fail(ErrorCode::EngineFailed, format!("the engine failed: {reason}"));
        }
        for index in 0..piece.len() {
            reading.pool.add(self.reader.vector(index));
        }
        reading.read = end;
        if end < reading.job.tokens.len() {
            self.current = Some(reading);
        } else {
            // Whoever has left does not need it.
            let _ = reading.job.reply.send(Ok(reading.pool.finish()));
        }
    }

    /// What is to be read now: the text in hand, or the next one that somebody still
    /// waits for.
    fn next(&mut self) -> Option<Reading> {
        let wanted = |job: &EmbeddingJob| !job.reply.is_canceled();
        if let Some(reading) = self.current.take()
            && wanted(&reading.job)
        {
            return Some(reading);
        }
        while let Some(job) = self.waiting.pop_front() {
            if wanted(&job) {
                return Some(Reading { job, read: 0, pool: Pool::new(self.pooling) });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 4;

    /// A token's vector says where it stands and which it is. It keeps what it has
    /// read, as a cache does.
    #[derive(Default)]
    struct FakeReader {
        held: Vec<TokenId>,
        vectors: Vec<[f32; 2]>,
        longest_piece: usize,
        fails: bool,
    }

    impl Reader for FakeReader {
        fn read(&mut self, position: usize, tokens: &[TokenId]) -> Result<(), String> {
            if self.fails {
                return Err("out of memory".into());
            }
            if position == 0 {
                self.held.clear();
            }
            assert_eq!(self.held.len(), position, "positions follow each other");
            self.held.extend_from_slice(tokens);
            self.longest_piece = self.longest_piece.max(tokens.len());
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

    fn embedder() -> Embedder<FakeReader> {
        Embedder::new(FakeReader::default(), Pooling::Mean, CHUNK)
    }

    #[test]
    fn a_text_is_read_piece_by_piece_and_averaged() {
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
        let vector = first_vector.try_recv().expect("sent").expect("three pieces").expect("made");
        assert!((vector[0] / vector[1] - 3.0).abs() < 1e-6 && (vector[0].hypot(vector[1]) - 1.0).abs() < 1e-6);
        embedder.step();
        assert_eq!(second_vector.try_recv().expect("sent"), Some(Ok(vec![0.0, 1.0])));
        assert!(embedder.is_idle());
        assert_eq!(embedder.reader.longest_piece, CHUNK);
    }

    #[test]
    fn a_text_that_nobody_waits_for_is_not_read_on() {
        let mut embedder = embedder();
        let (given_up, answer) = job(&[1; 100]);
        let (other, mut vector) = job(&[5]);
        embedder.submit(given_up);
        embedder.submit(other);
        embedder.step();
        drop(answer);
        embedder.step();
        assert!(vector.try_recv().expect("sent").expect("it was next").is_ok());
        assert!(embedder.is_idle());
    }

    #[test]
    fn a_failure_ends_its_text_alone() {
        let mut embedder = embedder();
        let (first, mut failed) = job(&[1]);
        embedder.submit(first);
        embedder.reader.fails = true;
        embedder.step();
        let error = failed.try_recv().expect("sent").expect("answered").expect_err("it failed");
        assert_eq!(error.code, ErrorCode::EngineFailed);
        embedder.reader.fails = false;
        let (second, mut made) = job(&[1]);
        embedder.submit(second);
        embedder.step();
        assert!(made.try_recv().expect("sent").expect("answered").is_ok());
    }
}
