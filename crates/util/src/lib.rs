//! Small utilities that several crates share. Nothing here knows a model, a scheduler or a
//! request.

mod backoff;
mod cut_off;
mod fair_pool;
mod stall;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use backoff::{Attempts, Backoff};
pub use cut_off::{CutOff, CutOffRegistry};
pub use fair_pool::{FairPool, PoolError, PoolLimits};
pub use stall::{CHECKS_PER_LIMIT, Stall};

/// A streaming hash whose algorithm is fixed: SipHash-1-3 with a key of zeros. Processes of
/// different builds and machines compute the same value, which `std`'s `DefaultHasher` does
/// not promise. Feed it bytes (`write`): what `Hash` implementations write may change.
pub use siphasher::sip::SipHasher13 as StableHasher;

/// Hashes `bytes` with a [`StableHasher`].
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    StableHasher::new().hash(bytes)
}

/// Time since the Unix epoch; zero if the system clock is set to before it.
#[must_use]
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    #[test]
    fn the_stable_hash_is_siphash_1_3() {
        // CPython's `hash` of bytes with PYTHONHASHSEED=0 is the same algorithm and key.
        assert_eq!(stable_hash(b"hostler"), 0xd54a_3f38_741d_0858);
        let mut hasher = StableHasher::new();
        hasher.write(b"host");
        hasher.write(b"ler");
        assert_eq!(hasher.finish(), stable_hash(b"hostler"));
    }
}
