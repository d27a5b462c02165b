//! The list of checks, and the run of all of them.

mod cancel;
mod constraints;
mod determinism;
mod embeddings;
mod ends;
mod life;
mod logprobs;
mod rejections;
mod text;

use super::{ContractOptions, Report, Subject, Violation};
use crate::ExecutorFactory;

/// One check of the suite.
#[derive(Clone, Copy)]
pub struct Check {
    /// The property that is checked.
    pub name: &'static str,
    /// Runs the check.
    pub run: fn(&Subject) -> Result<(), Violation>,
}

/// All checks, in the order in which [`run_all`] runs them. A test that needs a single
/// one finds it by its name.
pub const CHECKS: &[Check] = &[
    Check { name: "the description is sane", run: life::description },
    Check { name: "text survives encoding and decoding", run: text::round_trip },
    Check { name: "the codec refuses unknown tokens", run: text::unknown_tokens },
    Check { name: "a chat is rendered if a template is declared", run: text::chat },
    Check { name: "streamed text equals the decoded text", run: text::streamed },
    Check { name: "a greedy answer is deterministic", run: determinism::greedy },
    Check { name: "n concurrent greedy runs equal their solo runs", run: determinism::concurrent },
    Check { name: "an answer continued at any point equals the whole answer", run: determinism::greedy_continuation },
    Check { name: "an answer ends at exactly max_new_tokens", run: ends::length },
    Check { name: "a stop sequence ends the answer before it", run: ends::stop_sequence },
    Check { name: "a stop token ends the answer before it", run: ends::stop_token },
    Check { name: "no answer ends before min_tokens", run: ends::min_tokens },
    Check { name: "ignore_eos continues past the end of sequence", run: ends::ignore_eos },
    Check { name: "a seed determines the answer, alone and in a batch", run: determinism::seeded },
    Check { name: "a continued seeded answer equals the whole answer", run: determinism::seeded_continuation },
    Check { name: "log probabilities are natural logarithms", run: logprobs::natural },
    Check { name: "log probabilities beyond the declared limit are rejected", run: logprobs::rejected },
    Check { name: "an answer satisfies its constraint", run: constraints::satisfied },
    Check { name: "an invalid constraint is rejected", run: constraints::rejected },
    Check { name: "a hostile constraint ends neither the engine nor the process", run: constraints::survived },
    Check { name: "impossible sequences are rejected", run: rejections::impossible },
    Check { name: "a rejected sequence does not affect its batch", run: rejections::neighbours },
    Check { name: "a dropped stream frees the engine within a step", run: cancel::dropped_stream },
    Check { name: "a cancelled sequence ends within a step", run: cancel::handle },
    Check { name: "a sequence past its deadline reports it", run: cancel::deadline },
    Check { name: "a sequence cancelled before its start does not run", run: cancel::before_start },
    Check { name: "an unread stream blocks no other sequence", run: cancel::slow_reader },
    Check { name: "an embedding has length 1, or is rejected", run: embeddings::normalised },
    Check { name: "embeddings and sequences do not affect each other", run: embeddings::with_sequences },
    Check { name: "steps are counted while the engine is alive", run: life::progress },
    Check { name: "many short requests leak no threads", run: life::many_short_requests },
];

/// Loads an engine, runs every check on it, drops it while it works, and loads it
/// again.
///
/// # Errors
/// A [`Violation`] if the engine cannot be loaded. Failed checks are in the
/// [`Report`].
pub fn run_all(factory: &dyn ExecutorFactory, options: &ContractOptions) -> Result<Report, Violation> {
    let subject = Subject::load(factory, options.clone())?;
    let mut report = Report::default();
    for check in CHECKS {
        report.time(check.name, || (check.run)(&subject));
    }
    report.time(life::RELOAD, || life::reload(subject, factory));
    Ok(report)
}
