//! The logits processor of a sequence, which samples the tokens in place of mistral.rs.
//!
//! mistral.rs 0.8.1 calls it once per step, on the thread that samples, with the logits of
//! the next token. The processor samples and sends the token, and returns logits that force
//! the engine to take that token, or an end-of-sequence token if the sequence has ended,
//! after which the engine drops it. The engine never gets a grammar, because it would then
//! call the processor twice per step; constraints are enforced here.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{Storage, Tensor};
use hostler_executor::EngineStatus;
use hostler_executor_kit::sampling::Scratch;
use hostler_executor_kit::{Ending, Generation};
use hostler_protocol::TokenId;
use mistralrs::core::CustomLogitsProcessor;
use parking_lot::Mutex;

use crate::Fault;

thread_local! {
    /// Buffers for each of the engine's few sampling threads.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The parameters of the model that a step needs.
#[derive(Clone, Copy)]
pub(crate) struct ModelParams {
    /// An end-of-sequence token of the model.
    pub(crate) end_token: TokenId,
    /// Logits from this index on belong to no token: models pad their output.
    pub(crate) vocabulary_size: usize,
    /// A simulated fault.
    pub(crate) fault: Option<Fault>,
}

/// A sequence in the engine, shared with the dispatcher.
pub(crate) struct Running {
    /// A panic of the engine's thread during a step does not poison the lock, so that the
    /// dispatcher can still fail the sequence.
    state: Mutex<State>,
    status: Arc<EngineStatus>,
    model: ModelParams,
}

struct State {
    /// `None` after the sequence has ended.
    generation: Option<Generation>,
    /// Tokens of a continued answer that the engine decodes before it generates new ones
    /// (see [`crate::executor`]).
    replay: std::vec::IntoIter<TokenId>,
}

impl Running {
    pub(crate) fn new(
        generation: Generation,
        replay: Vec<TokenId>,
        status: Arc<EngineStatus>,
        model: ModelParams,
    ) -> Self {
        let state = Mutex::new(State { generation: Some(generation), replay: replay.into_iter() });
        Self { state, status, model }
    }

    /// Starts the sequence. Returns false if it was cancelled, and has therefore ended.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        if state.stop_if_requested() {
            return false;
        }
        if let Some(generation) = &mut state.generation {
            generation.sink().started();
        }
        true
    }

    /// Ends the sequence if it was asked to stop; returns whether it has ended.
    pub(crate) fn stop_if_requested(&self) -> bool {
        self.state.lock().stop_if_requested()
    }

    /// Ends the sequence unless it has ended.
    pub(crate) fn end(&self, ending: Ending) {
        self.state.lock().end(ending);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().generation.is_none()
    }

    /// Runs one step; returns the token that the engine must take.
    fn step(&self, logits: &[f32]) -> TokenId {
        let mut state = self.state.lock();
        let steps = self.status.count_step();
        if let Some(Fault::PanicAfterSteps(after)) = self.model.fault {
            assert!(steps != after, "simulated fault: panic after {after} steps");
        }
        let logits = &logits[..logits.len().min(self.model.vocabulary_size)];
        state.step(logits).unwrap_or(self.model.end_token)
    }
}

impl State {
    /// The next token; `None` after the sequence has ended.
    fn step(&mut self, logits: &[f32]) -> Option<TokenId> {
        if !self.replay.as_slice().is_empty() {
            return if self.stop_if_requested() { None } else { self.replay.next() };
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

    fn stop_if_requested(&mut self) -> bool {
        let Some(generation) = &mut self.generation else { return true };
        let Some(code) = generation.sink().stop_requested() else { return false };
        self.end(Ending::StopRequested(code));
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

/// Logits with the maximum at `id`. The engine samples greedily by a linear search, so
/// logits after `id` are not needed.
fn forced(id: TokenId) -> candle_core::Result<Tensor> {
    let mut logits = vec![0.0_f32; id as usize + 1];
    logits[id as usize] = 1.0;
    let length = logits.len();
    Tensor::from_vec(logits, length, &candle_core::Device::Cpu)
}
