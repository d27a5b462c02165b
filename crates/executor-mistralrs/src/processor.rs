//! The logits processor of one sequence: where mistral.rs's steps become ours.
//!
//! mistral.rs 0.8.1 calls it once a step, on the thread that samples, with the
//! logits of the next token. The token is chosen here, and sent; the engine gets
//! logits that leave it no choice: that token, or, where the sequence has ended, an
//! end-of-sequence token, after which the engine drops it. No grammar is ever given
//! to the engine (it would call twice in a step): constraints are enforced here too.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{Storage, Tensor};
use hostler_executor_kit::sampling::Scratch;
use hostler_executor_kit::{Ending, Generation};
use hostler_protocol::TokenId;
use mistralrs::core::CustomLogitsProcessor;

use crate::life::Life;

thread_local! {
    /// The engine samples on a few long-lived threads; each has its own buffers.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A sequence in the engine's hands. The engine and the dispatcher share it.
pub(crate) struct Running {
    state: Mutex<State>,
    life: Arc<Life>,
    end_token: TokenId,
    /// Logits beyond it belong to no token: models pad their output.
    vocabulary_size: usize,
}

struct State {
    /// `None` once it has ended.
    generation: Option<Generation>,
    /// Tokens of the answer that are known already, and that the engine takes step by
    /// step before it is asked for another (see [`crate::executor`]).
    replay: std::vec::IntoIter<TokenId>,
}

impl Running {
    pub(crate) fn new(
        generation: Generation,
        replay: Vec<TokenId>,
        life: Arc<Life>,
        end_token: TokenId,
        vocabulary_size: u32,
    ) -> Self {
        let state = Mutex::new(State { generation: Some(generation), replay: replay.into_iter() });
        Self { state, life, end_token, vocabulary_size: vocabulary_size as usize }
    }

    /// The engine gets it now. False where nobody wants it any more: then it has ended.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        if state.stop_if_asked() {
            return false;
        }
        if let Some(generation) = &mut state.generation {
            generation.sink().started();
        }
        true
    }

    /// Ends it if it was asked to stop while it waits; whether it has ended.
    pub(crate) fn stop_if_asked(&self) -> bool {
        self.lock().stop_if_asked()
    }

    /// Ends it from outside the engine's steps, unless it has ended.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().end(ending);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().generation.is_none()
    }

    /// The step itself: the token that the engine must take.
    fn step(&self, logits: &[f32]) -> TokenId {
        let mut state = self.lock();
        self.life.step();
        let logits = &logits[..logits.len().min(self.vocabulary_size)];
        state.step(logits).unwrap_or(self.end_token)
    }

    /// A panic of the engine's thread in the middle of a step leaves what is still
    /// good for telling the reader of it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next token; `None` once the sequence has ended.
    fn step(&mut self, logits: &[f32]) -> Option<TokenId> {
        if !self.replay.as_slice().is_empty() {
            return if self.stop_if_asked() { None } else { self.replay.next() };
        }
        let generation = self.generation.as_mut()?;
        match SCRATCH.with_borrow_mut(|scratch| generation.next(logits, scratch)) {
            Ok(id) => Some(id),
            Err(ending) => {
                self.end(ending);
                None
            }
        }
    }

    /// Whether it has ended, now or before.
    fn stop_if_asked(&mut self) -> bool {
        let Some(generation) = &mut self.generation else { return true };
        let Some(code) = generation.sink().stop_requested() else { return false };
        self.end(Ending::Asked(code));
        true
    }

    fn end(&mut self, ending: Ending) {
        if let Some(generation) = self.generation.take() {
            generation.end(ending);
        }
    }
}

impl CustomLogitsProcessor for Running {
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> candle_core::Result<Tensor> {
        let (storage, layout) = logits.storage_and_layout();
        let id = match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(storage), Some((start, end))) => self.step(&storage.as_slice::<f32>()?[start..end]),
            _ => {
                drop(storage);
                self.step(&logits.to_vec1::<f32>()?)
            }
        };
        forced(id)
    }
}

/// Logits whose largest is at `id`. The engine samples greedily, by a plain search,
/// so none are needed after it.
fn forced(id: TokenId) -> candle_core::Result<Tensor> {
    let mut logits = vec![0.0_f32; id as usize + 1];
    logits[id as usize] = 1.0;
    let length = logits.len();
    Tensor::from_vec(logits, length, &candle_core::Device::Cpu)
}
