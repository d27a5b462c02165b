//! Seeds.

use hostler_protocol::SamplingParams;

use super::greedy::{continues, same};
use crate::Sequence;
use crate::contract::report::ensure;
use crate::contract::{Subject, Violation};

fn seeded(subject: &Subject, seed: u64) -> Result<Sequence, Violation> {
    let mut sequence = subject.greedy(1)?;
    sequence.sampling = SamplingParams { seed: Some(seed), ..SamplingParams::default() };
    Ok(sequence)
}

pub(super) fn seed(subject: &Subject) -> Result<(), Violation> {
    let alone = subject.run(seeded(subject, 7)?)?;
    same(&alone, &subject.run(seeded(subject, 7)?)?, "the same seed twice")?;

    let mut together = subject.greedy_all()?;
    together.insert(1, seeded(subject, 7)?);
    let together = subject.run_together(together)?;
    same(&alone, &together[1], "the same seed with neighbours")?;

    for other in [8, 9, u64::MAX] {
        let other = subject.run(seeded(subject, other)?)?;
        ensure!(other.ids() != alone.ids(), "another seed gives the same answer: {:?}", alone.text());
    }
    let mut unseeded = seeded(subject, 0)?;
    unseeded.sampling.seed = None;
    let [first, second] = [subject.run(unseeded.clone())?, subject.run(unseeded)?];
    ensure!(first.ids() != second.ids(), "without a seed, two answers are the same: {:?}", first.text());
    Ok(())
}

pub(super) fn continuation(subject: &Subject) -> Result<(), Violation> {
    continues(subject, &seeded(subject, 7)?)
}
