//! When a failed engine may be replaced.

use std::collections::VecDeque;
use std::time::Instant;

use hostler_config::RecoveryConfig;
use hostler_util::Backoff;

/// Limits the restarts within a time window.
#[derive(Debug)]
pub struct Restarts {
    config: RecoveryConfig,
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// No restarts yet.
    #[must_use]
    pub fn new(config: RecoveryConfig) -> Self {
        Self { config, recent: VecDeque::new() }
    }

    /// When an engine that failed at `now` may be replaced. The pause doubles with every
    /// restart in the window; once the window is full, it lasts until the oldest restart
    /// has left the window. A permanently failing engine is thus retried forever, but
    /// rarely, and needs no manual restart once the cause is gone.
    pub fn next(&mut self, now: Instant) -> Instant {
        let window = self.config.restart_window;
        self.recent.retain(|&restart| now.saturating_duration_since(restart) < window);
        let backoff = Backoff::new(self.config.restart_backoff, self.config.restart_backoff_max);
        let soonest = now + backoff.pause(u32::try_from(self.recent.len()).unwrap_or(u32::MAX));
        let full = self.recent.len() >= self.config.restarts_max as usize;
        let restart = match self.recent.front() {
            Some(&oldest) if full => soonest.max(oldest + window),
            None if full => now + window,
            _ => soonest,
        };
        self.recent.push_back(restart);
        restart
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn pauses_double_and_a_full_window_waits_for_its_oldest_restart() {
        let config = RecoveryConfig {
            restarts_max: 3,
            restart_window: Duration::from_secs(60),
            restart_backoff: Duration::from_secs(1),
            restart_backoff_max: Duration::from_secs(3),
            ..RecoveryConfig::default()
        };
        let mut restarts = Restarts::new(config);
        let start = Instant::now();
        let after = |restart: Instant| restart.duration_since(start).as_secs();
        let first = restarts.next(start);
        assert_eq!(after(first), 1);
        let second = restarts.next(first);
        assert_eq!(after(second), 1 + 2);
        let third = restarts.next(second);
        assert_eq!(after(third), 3 + 3, "the pause is limited");
        let fourth = restarts.next(third);
        assert_eq!(after(fourth), 1 + 60, "the first has left the window then");
    }
}
