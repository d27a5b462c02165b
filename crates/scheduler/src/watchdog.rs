//! Distinguishes a slow engine from a hung or dead one. Pure: the time is an argument.

use std::time::{Duration, Instant};

use hostler_executor::EngineProgress;

/// Follows the step count of an engine.
#[derive(Debug)]
pub(crate) struct Watchdog {
    limit: Duration,
    steps: u64,
    since: Instant,
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
        Self { limit, steps: 0, since: now }
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
        if !running || progress.steps != self.steps {
            self.steps = progress.steps;
            self.since = now;
        }
        let since_step = now.saturating_duration_since(self.since);
        if since_step >= self.limit { Err(EngineFault::Hung(since_step)) } else { Ok(since_step) }
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
        assert_eq!(watchdog.check(at(109), steps(0), true), Ok(Duration::from_secs(9)), "slow");
        assert_eq!(watchdog.check(at(115), steps(1), true), Ok(Duration::ZERO), "moving");
        assert_eq!(watchdog.check(at(125), steps(1), true), Err(EngineFault::Hung(Duration::from_secs(10))));
        assert_eq!(watchdog.check(at(125), EngineProgress { alive: false, steps: 2 }, false), Err(EngineFault::Dead));
    }
}
