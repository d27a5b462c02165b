//! The targets behind actors: a scheduler and a router.

use std::sync::Arc;

use async_trait::async_trait;
use hostler_loadgen::measure::{Answer, Failure, Stopwatch};
use hostler_loadgen::target::{Target, TargetDescription};
use hostler_loadgen::workload::Job;
use hostler_router::Router;
use hostler_scheduler::Scheduler;

use super::request::{RequestTemplate, read_answer};

/// A scheduler without a router: the layer `scheduler` in this process, the layer `grpc` in
/// another one.
pub struct SchedulerTarget {
    scheduler: Arc<dyn Scheduler>,
    template: RequestTemplate,
}

impl SchedulerTarget {
    /// A target for `scheduler`, which should be serving.
    #[must_use]
    pub fn new(scheduler: Arc<dyn Scheduler>, template: RequestTemplate) -> Self {
        Self { scheduler, template }
    }
}

#[async_trait]
impl Target for SchedulerTarget {
    fn describe(&self) -> TargetDescription {
        let snapshot = self.scheduler.snapshot();
        let description = snapshot.borrow().description.clone();
        let layer = if self.scheduler.is_remote() { "grpc" } else { "scheduler" };
        self.template.describe(layer, self.scheduler.id().as_str(), description.as_deref())
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let generation = self.scheduler.submit(self.template.request(job)).await?;
        read_answer(generation.events, stopwatch).await
    }
}

/// A router. For a ladder it should have only the scheduler that the rung below measures.
pub struct RouterTarget {
    router: Router,
    template: RequestTemplate,
}

impl RouterTarget {
    /// A target for `router`.
    #[must_use]
    pub fn new(router: Router, template: RequestTemplate) -> Self {
        Self { router, template }
    }
}

#[async_trait]
impl Target for RouterTarget {
    fn describe(&self) -> TargetDescription {
        let served = self.router.models().into_iter().find(|served| served.model == self.template.model);
        let description = served.and_then(|served| served.description);
        self.template.describe("router", "this process", description.as_deref())
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let generation = self.router.generate(self.template.request(job)).await?;
        read_answer(generation.events, stopwatch).await
    }
}
