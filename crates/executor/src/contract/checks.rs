//! The checks, by what they are about.

mod cancel;
mod constraints;
mod description;
mod embeddings;
mod ends;
mod greedy;
mod life;
mod logprobs;
mod refusals;
mod sampling;
mod text;

pub(super) use life::{END_OF_LIFE, end_of_life};

use super::Check;

pub(super) const ALL: &[Check] = &[
    Check { name: "the description is sane", run: description::is_sane },
    Check { name: "text survives encoding and decoding", run: text::round_trip },
    Check { name: "the codec refuses unknown tokens", run: text::unknown_tokens },
    Check { name: "a chat is rendered where a template is declared", run: text::chat },
    Check { name: "streamed text is the decoded text", run: text::streamed },
    Check { name: "a greedy answer is always the same", run: greedy::repeats },
    Check { name: "n concurrent greedy runs equal their solo runs", run: greedy::concurrent_equals_solo },
    Check { name: "an answer continues at any point as if it were unbroken", run: greedy::continuation },
    Check { name: "an answer ends at exactly max_new_tokens", run: ends::length },
    Check { name: "a stop sequence ends the answer before it", run: ends::stop_sequence },
    Check { name: "a stop token ends the answer before it", run: ends::stop_token },
    Check { name: "no ending comes before min_tokens", run: ends::min_tokens },
    Check { name: "ignore_eos goes on past the model's own end", run: ends::ignore_eos },
    Check { name: "a seed decides the answer, with neighbours or without", run: sampling::seed },
    Check { name: "a seeded answer continues as if it were unbroken", run: sampling::continuation },
    Check { name: "log probabilities are natural logarithms", run: logprobs::natural },
    Check { name: "log probabilities beyond the declared limit are refused", run: logprobs::refused },
    Check { name: "an answer has the form that a constraint demands", run: constraints::kept },
    Check { name: "a constraint that makes no sense is refused", run: constraints::refused },
    Check { name: "a hostile constraint harms neither the engine nor the process", run: constraints::survived },
    Check { name: "impossible sequences are refused", run: refusals::impossible },
    Check { name: "a refused sequence does not disturb its neighbours", run: refusals::neighbours },
    Check { name: "a dropped stream frees the engine within a step", run: cancel::dropped_stream },
    Check { name: "a cancelled sequence ends within a step", run: cancel::handle },
    Check { name: "a sequence whose time is up says so", run: cancel::deadline },
    Check { name: "a sequence cancelled before it begins does not run", run: cancel::before_start },
    Check { name: "a reader that never reads stops nobody", run: cancel::slow_reader },
    Check { name: "a text has a vector of length 1, or is refused", run: embeddings::normalised },
    Check { name: "embeddings and sequences do not disturb each other", run: embeddings::beside_sequences },
    Check { name: "steps are counted while the engine lives", run: life::progress },
    Check { name: "many short requests leave nothing behind", run: life::many_short_requests },
];
