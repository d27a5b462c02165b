//! The contract suite finds engines that break it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::ready;
use hostler_executor::contract::{ContractOptions, run_all};
use hostler_executor::simulated::{
    CostModel, Fault, FaultKind, Faults, SequenceFault, SimulatedConfig, SimulatedFactory,
};
use hostler_executor::{
    CompileFuture, CompiledConstraint, EmbeddingFuture, ExecutorFactory, LoadError, LoadProgress, ModelExecutor,
    Progress, Sequence, TextCodec, TokenSink,
};
use hostler_protocol::{Constraint, ModelDescription, TokenId};

/// How an engine misbehaves: what it makes of a sequence that is the so-many-th.
type Misdeed = fn(Sequence, u32) -> Sequence;

/// An engine that does not run what it is given.
struct Misbehaving {
    engine: Arc<dyn ModelExecutor>,
    misdeed: Misdeed,
    started: AtomicU32,
}

impl ModelExecutor for Misbehaving {
    fn description(&self) -> &ModelDescription {
        self.engine.description()
    }

    fn text(&self) -> &dyn TextCodec {
        self.engine.text()
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        let ordinal = self.started.fetch_add(1, Ordering::Relaxed);
        self.engine.start((self.misdeed)(sequence, ordinal), sink);
    }

    /// It takes every constraint, and keeps to none.
    fn compile(&self, _: Constraint, _: Vec<TokenId>) -> CompileFuture {
        ready(Ok(CompiledConstraint::new(()))).boxed()
    }

    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        // It treats a text as it treats a prompt, and forgets the length.
        let ordinal = self.started.fetch_add(1, Ordering::Relaxed);
        let sequence = (self.misdeed)(Sequence::greedy(tokens, 1), ordinal);
        let embedding = self.engine.embed(sequence.tokens.to_vec());
        let factor = if sequence.max_new_tokens == 1 { 1.0 } else { 2.0 };
        embedding.map(move |vector| Ok(vector?.into_iter().map(|number| number * factor).collect())).boxed()
    }

    fn progress(&self) -> Progress {
        self.engine.progress()
    }
}

struct MisbehavingFactory(SimulatedFactory, Misdeed);

impl ExecutorFactory for MisbehavingFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        let (engine, misdeed) = (self.0.load(progress)?, self.1);
        Ok(Arc::new(Misbehaving { engine, misdeed, started: AtomicU32::new(0) }))
    }
}

fn factory(faults: Faults) -> SimulatedFactory {
    let cost = CostModel { decode_step_ms: 0.2, ..CostModel::FREE };
    let config = SimulatedConfig { cost, faults, ..SimulatedConfig::default() };
    SimulatedFactory::new("simulated", config).expect("the test's configuration is allowed")
}

/// The names of the promises that an engine breaks.
fn broken(factory: &dyn ExecutorFactory) -> Vec<&'static str> {
    let options =
        ContractOptions { short_requests: 20, patience: Duration::from_millis(300), ..ContractOptions::default() };
    let report = run_all(factory, &options).expect("it loads");
    report.outcomes.into_iter().filter(|outcome| outcome.result.is_err()).map(|outcome| outcome.name).collect()
}

#[track_caller]
fn finds(misdeed: Misdeed, promise: &str) {
    let broken = broken(&MisbehavingFactory(factory(Faults::default()), misdeed));
    assert!(broken.contains(&promise), "{promise:?} is not among {broken:?}");
}

#[test]
fn text_that_leaks_from_elsewhere() {
    let leak: Misdeed = |mut sequence, ordinal| {
        if ordinal % 7 == 6 && sequence.tokens.len() > 1 {
            sequence.tokens = sequence.tokens.iter().skip(1).copied().collect();
            sequence.answered = sequence.answered.min(sequence.tokens.len() - 1);
        }
        sequence
    };
    finds(leak, "n concurrent greedy runs equal their solo runs");
}

#[test]
fn stop_conditions_that_are_ignored() {
    let careless: Misdeed = |mut sequence, _| {
        sequence.stop = Default::default();
        sequence
    };
    finds(careless, "a stop sequence ends the answer before it");
    finds(careless, "a stop token ends the answer before it");
}

#[test]
fn vectors_that_are_not_of_length_one() {
    let stretching: Misdeed = |mut sequence, _| {
        sequence.max_new_tokens = sequence.max_new_tokens.saturating_add(1);
        sequence
    };
    finds(stretching, "a text has a vector of length 1, or is refused");
}

#[test]
fn vectors_that_others_change() {
    let leak: Misdeed = |mut sequence, ordinal| {
        if ordinal % 3 == 2 && sequence.tokens.len() > 1 {
            sequence.tokens = sequence.tokens.iter().skip(1).copied().collect();
            sequence.answered = sequence.answered.min(sequence.tokens.len() - 1);
        }
        sequence
    };
    finds(leak, "embeddings and sequences do not disturb each other");
}

#[test]
fn seeds_that_are_ignored() {
    let careless: Misdeed = |mut sequence, _| {
        sequence.sampling.seed = None;
        sequence
    };
    finds(careless, "a seed decides the answer, with neighbours or without");
}

#[test]
fn constraints_that_are_ignored() {
    let careless: Misdeed = |sequence, _| sequence;
    finds(careless, "an answer has the form that a constraint demands");
}

#[test]
fn answers_that_are_begun_anew_instead_of_continued() {
    let forgetful: Misdeed = |mut sequence, _| {
        sequence.tokens = sequence.prompt().into();
        sequence.answered = 0;
        sequence
    };
    finds(forgetful, "an answer continues at any point as if it were unbroken");
}

#[test]
fn sequences_that_fail_and_sequences_that_hang() {
    for kind in [FaultKind::Fail, FaultKind::Hang] {
        let sequence = Some(SequenceFault { kind, after_tokens: 3, every: 2 });
        let broken = broken(&factory(Faults { sequence, ..Faults::default() }));
        assert!(broken.contains(&"a greedy answer is always the same"), "{kind:?}: {broken:?}");
    }
}

#[test]
fn an_engine_that_dies() {
    let engine = Some(Fault { kind: FaultKind::Fail, after_tokens: 100 });
    let broken = broken(&factory(Faults { engine, ..Faults::default() }));
    assert!(broken.contains(&"steps are counted while the engine lives"), "{broken:?}");
}
