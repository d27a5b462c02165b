//! A scheduler, asked directly.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_scheduler::Scheduler;

use super::{Asking, events};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::target::{Target, TargetDescription};
use crate::workload::Job;

/// A scheduler, asked directly: no router between.
pub struct SchedulerTarget {
    scheduler: Arc<dyn Scheduler>,
    asking: Asking,
}

impl SchedulerTarget {
    /// This scheduler, which should be serving.
    #[must_use]
    pub fn new(scheduler: Arc<dyn Scheduler>, asking: Asking) -> Self {
        Self { scheduler, asking }
    }
}

#[async_trait]
impl Target for SchedulerTarget {
    fn describe(&self) -> TargetDescription {
        let snapshot = self.scheduler.snapshot();
        let description = snapshot.borrow().description.clone();
        self.asking.describe("scheduler", self.scheduler.id().as_str(), description.as_deref())
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let generation = self.scheduler.submit(self.asking.request(job)).await?;
        events::read(generation.events, stopwatch).await
    }
}
