//! The contract suite finds engines that violate the contract.

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
    CompileFuture, CompiledConstraint, EmbeddingFuture, EngineProgress, ExecutorFactory, LoadError, LoadProgress,
    ModelExecutor, Sequence, TextCodec, TokenSink,
};
use hostler_protocol::{Constraint, ModelDescription, TenantId, TokenId};

/// Changes the n-th sequence before the engine runs it.
type Tamper = fn(Sequence, u32) -> Sequence;

/// An engine that runs other sequences than it is given.
struct Tampered {
    engine: Arc<dyn ModelExecutor>,
    tamper: Tamper,
    started: AtomicU32,
}

impl ModelExecutor for Tampered {
    fn description(&self) -> &ModelDescription {
        self.engine.description()
    }

    fn text(&self) -> &dyn TextCodec {
        self.engine.text()
    }

    fn start(&self, sequence: Sequence, sink: TokenSink) {
        let ordinal = self.started.fetch_add(1, Ordering::Relaxed);
        self.engine.start((self.tamper)(sequence, ordinal), sink);
    }

    /// Accepts every constraint and ignores it.
    fn compile(&self, _: &TenantId, _: Constraint, _: Vec<TokenId>) -> CompileFuture {
        ready(Ok(CompiledConstraint::new(()))).boxed()
    }

    fn embed(&self, tokens: Vec<TokenId>) -> EmbeddingFuture {
        // Changes a text as it changes a prompt; a changed `max_new_tokens` changes the
        // length of the vector.
        let ordinal = self.started.fetch_add(1, Ordering::Relaxed);
        let sequence = (self.tamper)(Sequence::greedy(tokens, 1), ordinal);
        let embedding = self.engine.embed(sequence.tokens.to_vec());
        let factor = if sequence.max_new_tokens == 1 { 1.0 } else { 2.0 };
        embedding.map(move |vector| Ok(vector?.into_iter().map(|number| number * factor).collect())).boxed()
    }

    fn progress(&self) -> EngineProgress {
        self.engine.progress()
    }
}

struct TamperedFactory(SimulatedFactory, Tamper);

impl ExecutorFactory for TamperedFactory {
    fn load(&self, progress: &dyn LoadProgress) -> Result<Arc<dyn ModelExecutor>, LoadError> {
        let (engine, tamper) = (self.0.load(progress)?, self.1);
        Ok(Arc::new(Tampered { engine, tamper, started: AtomicU32::new(0) }))
    }
}

fn factory(faults: Faults) -> SimulatedFactory {
    let cost = CostModel { decode_step_ms: 0.2, ..CostModel::FREE };
    let config = SimulatedConfig { cost, faults, ..SimulatedConfig::default() };
    SimulatedFactory::new("simulated", config).expect("the test's configuration is allowed")
}

/// The names of the checks that an engine fails.
fn failed_checks(factory: &dyn ExecutorFactory) -> Vec<&'static str> {
    let options =
        ContractOptions { short_requests: 20, patience: Duration::from_millis(300), ..ContractOptions::default() };
    let report = run_all(factory, &options).expect("it loads");
    report.outcomes.into_iter().filter(|outcome| outcome.result.is_err()).map(|outcome| outcome.name).collect()
}

#[track_caller]
fn assert_finds(tamper: Tamper, check: &str) {
    let failed = failed_checks(&TamperedFactory(factory(Faults::default()), tamper));
    assert!(failed.contains(&check), "{check:?} is not among {failed:?}");
}

#[test]
fn sequences_that_affect_each_other_are_found() {
    let leak: Tamper = |mut sequence, ordinal| {
        if ordinal % 7 == 6 && sequence.tokens.len() > 1 {
            sequence.tokens = sequence.tokens.iter().skip(1).copied().collect();
            sequence.answered = sequence.answered.min(sequence.tokens.len() - 1);
        }
        sequence
    };
    assert_finds(leak, "n concurrent greedy runs equal their solo runs");
}

#[test]
fn ignored_stop_conditions_are_found() {
    let ignore: Tamper = |mut sequence, _| {
        sequence.stop = Default::default();
        sequence
    };
    assert_finds(ignore, "a stop sequence ends the answer before it");
    assert_finds(ignore, "a stop token ends the answer before it");
}

#[test]
fn embeddings_of_a_length_other_than_one_are_found() {
    let stretch: Tamper = |mut sequence, _| {
        sequence.max_new_tokens = sequence.max_new_tokens.saturating_add(1);
        sequence
    };
    assert_finds(stretch, "an embedding has length 1, or is rejected");
}

#[test]
fn embeddings_that_affect_each_other_are_found() {
    let leak: Tamper = |mut sequence, ordinal| {
        if ordinal % 3 == 2 && sequence.tokens.len() > 1 {
            sequence.tokens = sequence.tokens.iter().skip(1).copied().collect();
            sequence.answered = sequence.answered.min(sequence.tokens.len() - 1);
        }
        sequence
    };
    assert_finds(leak, "embeddings and sequences do not affect each other");
}

#[test]
fn ignored_seeds_are_found() {
    let ignore: Tamper = |mut sequence, _| {
        sequence.sampling.seed = None;
        sequence
    };
    assert_finds(ignore, "a seed determines the answer, alone and in a batch");
}

#[test]
fn ignored_constraints_are_found() {
    let ignore: Tamper = |sequence, _| sequence;
    assert_finds(ignore, "an answer satisfies its constraint");
}

#[test]
fn answers_that_are_restarted_instead_of_continued_are_found() {
    let restart: Tamper = |mut sequence, _| {
        sequence.tokens = sequence.prompt().into();
        sequence.answered = 0;
        sequence
    };
    assert_finds(restart, "an answer continued at any point equals the whole answer");
}

#[test]
fn failing_and_hanging_sequences_are_found() {
    for kind in [FaultKind::Fail, FaultKind::Hang] {
        let sequence = Some(SequenceFault { kind, after_tokens: 3, every: 2 });
        let failed = failed_checks(&factory(Faults { sequence, ..Faults::default() }));
        assert!(failed.contains(&"a greedy answer is deterministic"), "{kind:?}: {failed:?}");
    }
}

#[test]
fn an_engine_that_dies_is_found() {
    let engine = Some(Fault { kind: FaultKind::Fail, after_tokens: 100 });
    let failed = failed_checks(&factory(Faults { engine, ..Faults::default() }));
    assert!(failed.contains(&"steps are counted while the engine is alive"), "{failed:?}");
}
