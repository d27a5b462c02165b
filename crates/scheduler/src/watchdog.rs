//! Distinguishes a slow engine from a hung or dead one. Pure: the time is an argument.

use std::time::{Duration, Instant};

use hostler_executor::EngineProgress;
use hostler_util::Stall;

/// Follows the step count of an engine.
#[derive(Debug)]
pub(crate) struct Watchdog {
    steps: u64,
    stall: Stall,
}

/// What is wrong with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineFault {
    /// It reports itself dead.
    #[error("the engine died")]
    Dead,
    /// Sequences are running but no step completes.
    #[error("the engine has completed no step for {0:.1?}")]
    Hung(Duration),
}

impl Watchdog {
    pub(crate) fn new(limit: Duration, now: Instant) -> Self {
        Self { steps: 0, stall: Stall::new(limit, now) }
    }

    /// Checks the engine. Returns the time since its last step, zero when idle.
    pub(crate) fn check(
        &mut self,
        now: Instant,
        progress: EngineProgress,
        running: bool,
    ) -> Result<Duration, EngineFault> {
        if !progress.alive {
            return Err(EngineFault::Dead);
        }
        let is_stalled = running && progress.steps == self.steps;
        self.steps = progress.steps;
        let since_step = self.stall.check(now, is_stalled);
        if self.stall.is_over() { Err(EngineFault::Hung(since_step)) } else { Ok(since_step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_engine_without_steps_is_hung() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let steps = |steps| EngineProgress { alive: true, steps };
        let mut watchdog = Watchdog::new(Duration::from_secs(10), start);
        assert_eq!(watchdog.check(at(100), steps(0), false), Ok(Duration::ZERO), "idle");
        assert_eq!(watchdog.check(at(102), steps(0), true), Ok(Duration::from_secs(2)), "slow");
        assert_eq!(watchdog.check(at(104), steps(1), true), Ok(Duration::ZERO), "moving");
        for second in [106, 108, 110, 112] {
            assert!(watchdog.check(at(second), steps(1), true).is_ok(), "slow");
        }
        assert_eq!(watchdog.check(at(114), steps(1), true), Err(EngineFault::Hung(Duration::from_secs(10))));
        assert_eq!(watchdog.check(at(125), EngineProgress { alive: false, steps: 2 }, false), Err(EngineFault::Dead));
    }
}
