//! Clients that leave before their answer is complete.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::Length;

/// Which share of the clients leaves, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaving {
    /// 0 to 1.
    pub share: f64,
    /// After so many tokens, or pieces of text.
    pub after_tokens: Length,
}

impl Leaving {
    /// After how many tokens the client leaves, if it does.
    pub(super) fn draw(self, random: &mut impl Rng) -> Option<u32> {
        (random.random::<f64>() < self.share).then(|| self.after_tokens.draw(random))
    }
}
