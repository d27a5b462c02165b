//! A router, which chooses the scheduler.

use async_trait::async_trait;
use hostler_router::Router;

use super::{Asking, events};
use crate::measure::{Answer, Failure, Stopwatch};
use crate::target::{Target, TargetDescription};
use crate::workload::Job;

/// A router, which chooses the scheduler. For a ladder it should have but the
/// one that the rung below has.
pub struct RouterTarget {
    router: Router,
    asking: Asking,
}

impl RouterTarget {
    /// This router.
    #[must_use]
    pub fn new(router: Router, asking: Asking) -> Self {
        Self { router, asking }
    }
}

#[async_trait]
impl Target for RouterTarget {
    fn describe(&self) -> TargetDescription {
        let served = self.router.models().into_iter().find(|served| served.model == self.asking.model);
        let description = served.and_then(|served| served.description);
        self.asking.describe("router", "this process", description.as_deref())
    }

    async fn generate(&self, job: &Job, stopwatch: &mut Stopwatch) -> Result<Answer, Failure> {
        let generation = self.router.generate(self.asking.request(job)).await?;
        events::read(generation.events, stopwatch).await
    }
}
