//! What the scheduler's tests share: requests, a configuration, and a running scheduler.

#![allow(dead_code, unused_imports, reason = "every test file uses a part of this")]

use std::sync::Arc;
use std::time::Duration;

use hostler_protocol::{GenerationRequest, Prompt};
use hostler_scheduler::{LocalScheduler, SchedulerConfig, SchedulerSnapshot};
pub(crate) use hostler_testkit::{EngineControls, FakeFactory, eventually, is_idle, read};

/// A request with this many prompt tokens and at most `max_tokens` answer tokens.
pub(crate) fn request(prompt_tokens: usize, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("fake".into(), Prompt::Tokens(vec![7; prompt_tokens]));
    request.stop.max_tokens = Some(max_tokens);
    request
}

/// A configuration that notices a hung engine and restarts it quickly.
pub(crate) fn config() -> SchedulerConfig {
    let mut config = SchedulerConfig::new("test", "fake");
    config.recovery.watchdog = Duration::from_millis(300);
    config.recovery.restart_backoff = Duration::from_millis(1);
    config
}

/// Waits until the snapshot meets a condition, at most ten seconds.
pub(crate) async fn until(scheduler: &LocalScheduler, what: &str, condition: impl FnMut(&SchedulerSnapshot) -> bool) {
    hostler_testkit::until(scheduler, what, condition).await;
}

/// Starts a scheduler and waits until it serves.
pub(crate) async fn serving(config: SchedulerConfig, factory: Arc<FakeFactory>) -> Arc<LocalScheduler> {
    let scheduler = LocalScheduler::start(config, factory);
    hostler_testkit::serving(&*scheduler).await;
    scheduler
}
