//! A scheduler, asked directly: here, or at the other end of a connection.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_scheduler::Scheduler;

use super::{Asking, events};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::target::{Target, TargetDescription};
use crate::workload::Job;

/// A scheduler, asked directly: no router between. One that is in another process is
/// the layer `grpc`, one in this process the layer `scheduler`.
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
        let layer = if self.scheduler.is_remote() { "grpc" } else { "scheduler" };
        self.asking.describe(layer, self.scheduler.id().as_str(), description.as_deref())
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let generation = self.scheduler.submit(self.asking.request(job)).await?;
        events::read(generation.events, stopwatch).await
    }
}
