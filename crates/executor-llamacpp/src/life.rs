//! What the engine's thread tells of itself, and how it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

use hostler_executor::Progress;

use crate::embedding::{Embedder, EmbeddingJob, Reader};
use crate::engine::{Engine, Forward, Job};

/// What the engine's thread is given to do.
pub(crate) enum Work {
    /// A sequence to generate.
    Generate(Box<Job>),
    /// A text to find a vector for.
    Embed(EmbeddingJob),
}

/// Read by everyone, written by the engine's thread.
#[derive(Debug)]
pub(crate) struct Life {
    alive: AtomicBool,
    steps: AtomicU64,
}

impl Life {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self { alive: AtomicBool::new(true), steps: AtomicU64::new(0) })
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { alive: self.alive.load(Ordering::Acquire), steps: self.steps.load(Ordering::Relaxed) }
    }

    fn end(&self) {
        self.alive.store(false, Ordering::Release);
    }
}

/// Ends the life when the thread ends, by a panic too.
struct EndOnDrop<'a>(&'a Life);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs `engine` until nobody can send it work any more, or until it fails. After
/// each of its steps, `embedder` reads one piece of a text, if there is one. While
/// there is nothing to do, the thread sleeps on the channel.
pub(crate) fn run<F: Forward, R: Reader>(
    engine: Engine<F>,
    mut embedder: Embedder<R>,
    work: &Receiver<Work>,
    life: &Life,
) {
    let mut engine = engine;
    // Dropped before the engine: whoever hears that a sequence failed finds that
    // the engine is dead.
    let _end = EndOnDrop(life);
    while receive(&mut engine, &mut embedder, work) {
        if let Err(reason) = engine.step() {
            tracing::error!(reason, "llama.cpp failed; the engine stops");
            life.end();
            engine.fail_all(&reason);
            return;
        }
        embedder.step();
        life.steps.fetch_add(1, Ordering::Relaxed);
    }
    life.end();
    engine.fail_all("it was stopped");
}

/// Takes in what has come; waits for it if there is nothing else to do. Whether the
/// engine shall go on.
fn receive<F: Forward, R: Reader>(engine: &mut Engine<F>, embedder: &mut Embedder<R>, work: &Receiver<Work>) -> bool {
    let idle = engine.is_idle() && embedder.is_idle();
    let mut submit = |work| match work {
        Work::Generate(job) => engine.submit(*job),
        Work::Embed(job) => embedder.submit(job),
    };
    if idle {
        match work.recv() {
            Ok(work) => submit(work),
            Err(_) => return false,
        }
    }
    loop {
        match work.try_recv() {
            Ok(work) => submit(work),
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => return false,
        }
    }
}
