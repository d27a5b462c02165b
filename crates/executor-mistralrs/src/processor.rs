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
use mistralrs_core::CustomLogitsProcessor;

use crate::life::Life;

thread_local! {
    /// The engine samples on a few long-lived threads; each has its own buffers.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A sequence in the engine's hands. The engine and the dispatcher share it.
pub(crate) struct Running {
    /// `None` once it has ended.
    generation: Mutex<Option<Generation>>,
    life: Arc<Life>,
    end_token: TokenId,
    /// Logits beyond it belong to no token: models pad their output.
    vocabulary_size: usize,
}

impl Running {
    pub(crate) fn new(generation: Generation, life: Arc<Life>, end_token: TokenId, vocabulary_size: u32) -> Self {
        Self { generation: Mutex::new(Some(generation)), life, end_token, vocabulary_size: vocabulary_size as usize }
    }

    /// The engine gets it now. False where nobody wants it any more: then it has ended.
    pub(crate) fn begin(&self) -> bool {
        let mut slot = self.lock();
        let Some(generation) = slot.as_mut() else { return false };
        if let Some(code) = generation.sink().stop_requested() {
            end(&mut slot, Ending::Asked(code));
            return false;
        }
        generation.sink().started();
        true
    }

    /// Ends it if it was asked to stop while it waits; whether it has ended.
    pub(crate) fn stop_if_asked(&self) -> bool {
        let mut slot = self.lock();
        match slot.as_mut().map(|generation| generation.sink().stop_requested()) {
            None => true,
            Some(None) => false,
            Some(Some(code)) => {
                end(&mut slot, Ending::Asked(code));
                true
            }
        }
    }

    /// Ends it from outside the engine's steps, unless it has ended.
    pub(crate) fn end(&self, ending: Ending) {
        end(&mut self.lock(), ending);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().is_none()
    }

    /// The step itself: the token that the engine must take.
    fn step(&self, logits: &[f32]) -> TokenId {
        let mut slot = self.lock();
        self.life.step();
        let Some(generation) = slot.as_mut() else { return self.end_token };
        let logits = &logits[..logits.len().min(self.vocabulary_size)];
        match SCRATCH.with_borrow_mut(|scratch| generation.next(logits, scratch)) {
            Ok(id) => id,
            Err(ending) => {
                end(&mut slot, ending);
                self.end_token
            }
        }
    }

    /// A panic of the engine's thread in the middle of a step leaves what is still
    /// good for telling the reader of it.
    fn lock(&self) -> MutexGuard<'_, Option<Generation>> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(slot: &mut Option<Generation>, ending: Ending) {
    if let Some(generation) = slot.take() {
        generation.end(ending);
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
