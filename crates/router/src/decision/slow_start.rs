//! Slow start: a scheduler that begins to serve gets its share gradually. Pure.
//!
//! A scheduler that has just loaded its model has cold caches and no measured rates.
//! Without slow start, it would get all of the cluster's next requests at once, because
//! it is the idle one.

use std::time::{Duration, Instant};

use crate::policy::mix;

/// The share of a scheduler that takes part in every decision, in thousandths.
pub(crate) const FULL_SHARE: u32 = 1000;

/// The share at the beginning: a newcomer must get some requests to warm up.
const FIRST_SHARE: u32 = 100;

/// Since when one scheduler has been serving.
#[derive(Debug, Default)]
pub(crate) struct SlowStart {
    since: Option<Instant>,
}

impl SlowStart {
    /// Records whether the scheduler serves now, and returns its share of decisions, which
    /// grows linearly over `period` from when it was first seen serving.
    pub(crate) fn share(&mut self, serves: bool, period: Duration, now: Instant) -> u32 {
        if !serves {
            self.since = None;
            return FULL_SHARE;
        }
        let served = now.saturating_duration_since(*self.since.get_or_insert(now));
        if served >= period {
            return FULL_SHARE;
        }
        let grown = u128::from(FULL_SHARE - FIRST_SHARE) * served.as_nanos() / period.as_nanos();
        FIRST_SHARE + u32::try_from(grown).unwrap_or(FULL_SHARE)
    }
}

/// Whether a scheduler with this share takes part in a decision with this random number.
/// `salt` differs between schedulers, so that not all newcomers miss the same decisions.
pub(crate) fn takes_part(share: u32, random: u64, salt: u64) -> bool {
    share >= FULL_SHARE || mix(random ^ salt) % u64::from(FULL_SHARE) < u64::from(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    #[test]
    fn the_share_grows_linearly_and_restarts_when_the_scheduler_comes_back() {
        let start = Instant::now();
        let mut newcomer = SlowStart::default();
        let at = |newcomer: &mut SlowStart, seconds| newcomer.share(true, PERIOD, start + Duration::from_secs(seconds));
        assert_eq!(at(&mut newcomer, 0), 100);
        assert_eq!(at(&mut newcomer, 5), 550);
        assert_eq!(at(&mut newcomer, 10), FULL_SHARE);
        newcomer.share(false, PERIOD, start + Duration::from_secs(11));
        assert_eq!(at(&mut newcomer, 12), 100);
        assert_eq!(at(&mut newcomer, 17), 550);
    }

    #[test]
    fn without_a_period_there_is_no_slow_start() {
        assert_eq!(SlowStart::default().share(true, Duration::ZERO, Instant::now()), FULL_SHARE);
    }

    #[test]
    fn it_takes_part_about_as_often_as_its_share() {
        for share in [100, 550, 900] {
            let times = (0..10_000).filter(|&random| takes_part(share, random, 7)).count();
            let expected = share as usize * 10;
            assert!(times.abs_diff(expected) < 300, "{times} of 10,000 at {share} thousandths");
        }
        assert!((0..1000).all(|random| takes_part(FULL_SHARE, random, 7)));
    }
}
