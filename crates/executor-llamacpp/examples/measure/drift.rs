//! Measures how much log probabilities change when a prefix is reused: the prompt is then
//! processed in different chunks, and llama.cpp uses other kernels for other chunk sizes.

use hostler_executor::{ModelExecutor, Sequence};
use hostler_protocol::{Logprob, TokenEvent, TokenId};

use crate::workload;

const PROMPTS: usize = 120;
const ALTERNATIVES: u32 = 20;
/// Differences between less likely tokens are ignored.
const LIKELY: f32 = -5.0;

/// `fresh` processes whole prompts, `reusing` has processed a prefix of each before.
pub(crate) fn measure(fresh: &dyn ModelExecutor, reusing: &dyn ModelExecutor) {
    let mut by_rest: [(&str, Vec<f32>); 3] =
        [("1 token", Vec::new()), ("2 to 63 tokens", Vec::new()), ("64 tokens and more", Vec::new())];
    let mut changed = 0;
    for index in 0..PROMPTS {
        let length = 40 + index * 83 % 300;
        let rest = [1, 2 + index * 7 % 38, 64 + index % 60][index % 3].min(length - 1);
        let prompt = workload::tokens(fresh, 5_000 + index, length);
        let (expected, cached) = first(fresh, &prompt);
        assert_eq!(cached, 0, "two prompts share a prefix");
        first(reusing, &prompt[..length - rest]);
        let (found, cached) = first(reusing, &prompt);
        assert_eq!(cached as usize, length - rest);
        let class = usize::from(rest > 1) + usize::from(rest >= 64);
        by_rest[class].1.push(difference(&expected, &found));
        changed += usize::from(expected.top[0].0 != found.top[0].0);
    }
    println!("largest difference of a log probability above {LIKELY}, by length of the rest of the prompt:");
    for (rest, mut differences) in by_rest {
        differences.sort_by(f32::total_cmp);
        let at = |share: usize| differences[(differences.len() - 1) * share / 100];
        println!("{rest:>20}: median {:.4}, 90 % {:.4}, largest {:.4}", at(50), at(90), at(100));
    }
    println!("{changed} of {PROMPTS} first tokens differ");
}

/// The log probabilities of the answer's first token, and the number of reused tokens.
fn first(executor: &dyn ModelExecutor, prompt: &[TokenId]) -> (Logprob, u32) {
    let mut sequence = Sequence::greedy(prompt, 1);
    sequence.top_logprobs = Some(ALTERNATIVES);
    sequence.stop.ignore_eos = true;
    let mut stream = executor.generate(sequence);
    let mut logprob = None;
    while let Some(event) = stream.blocking_next_event() {
        match event {
            TokenEvent::Token(token) => logprob = token.logprob,
            TokenEvent::Finished(finish) => {
                return (logprob.expect("log probabilities were requested"), finish.usage.cached_tokens);
            }
            TokenEvent::Failed(error) => panic!("a request failed: {error}"),
            TokenEvent::Started(_) => {}
        }
    }
    panic!("a stream ended without a final event");
}

fn difference(left: &Logprob, right: &Logprob) -> f32 {
    let of = |id| right.top.iter().find(|&&(other, _)| other == id).map(|&(_, logprob)| logprob);
    let likely = left.top.iter().filter(|&&(_, logprob)| logprob > LIKELY);
    likely.filter_map(|&(id, logprob)| Some((logprob - of(id)?).abs())).fold(0.0, f32::max)
}
