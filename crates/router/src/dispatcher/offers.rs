//! Offers a request to schedulers until one takes it, within the bounds for retries.

use std::sync::Arc;
use std::time::Instant;

use hostler_config::RouterConfig;
use hostler_protocol::{
    EmbeddingInput, Embeddings, ErrorReason, GenerationRequest, ModelDescription, ModelId, RequestError, RequestId,
    SchedulerId,
};
use hostler_scheduler::Generation;
use parking_lot::Mutex;

use super::budget::RetryBudget;
use super::refusals::{Next, Refusals};
use crate::chooser::Chooser;
use crate::decision::RouteRequest;
use crate::directory::Assignment;
use crate::metrics;
use crate::receipts::{OpenReceipt, ReceiptEnd, ReceiptOutcome, Receipts};

/// Embeddings, and the scheduler that computed them.
pub struct RoutedEmbeddings {
    /// The scheduler: `x-hostler-scheduler`.
    pub scheduler: SchedulerId,
    /// The scheduler's model.
    pub description: Arc<ModelDescription>,
    /// One vector for each text.
    pub embeddings: Embeddings,
}

/// The part of an answer that one scheduler generates, and what is held for it.
pub(crate) struct Segment {
    pub(crate) generation: Generation,
    pub(crate) assignment: Assignment,
}

/// Offers requests to the schedulers that are chosen for them.
pub(crate) struct Offers {
    config: Arc<RouterConfig>,
    chooser: Chooser,
    budget: Mutex<RetryBudget>,
}

impl Offers {
    pub(crate) fn new(config: Arc<RouterConfig>, chooser: Chooser) -> Self {
        let budget =
            Mutex::new(RetryBudget::new(config.retry_share_percent, config.retries_per_second, Instant::now()));
        Self { config, chooser, budget }
    }

    /// Counts a new request, which pays its share into the retry budget.
    pub(crate) fn count_request(&self) {
        self.budget.lock().deposit();
    }

    /// Takes one retry from the budget. Whether there was one.
    pub(crate) fn pay_for_retry(&self, model: &ModelId) -> bool {
        let paid = self.budget.lock().withdraw(Instant::now());
        if !paid {
            metrics::retry_denied(model);
        }
        paid
    }

    /// Finds a scheduler that admits the generation. `refusals` names those that must not
    /// be asked.
    ///
    /// # Errors
    /// The most useful refusal, when every scheduler or every allowed attempt was used.
    pub(crate) async fn generate(
        &self,
        request: &GenerationRequest,
        mut refusals: Refusals,
        receipt: &OpenReceipt,
    ) -> Result<Segment, RequestError> {
        loop {
            let route = RouteRequest::for_generation(request, refusals.schedulers(), self.config.compares_prefixes())
                .longer_than(refusals.too_short());
            let assignment = self.choose(&route, &mut refusals, receipt).await?;
            match assignment.scheduler.submit(request.clone()).await {
                Ok(generation) => return Ok(Segment { generation, assignment }),
                Err(error) => {
                    receipt.refused(error.code);
                    self.after_refusal(&request.model, &assignment, error, &mut refusals)?;
                }
            }
        }
    }

    /// Finds a scheduler that computes the embeddings.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub(crate) async fn embed(
        &self,
        model: &ModelId,
        inputs: Vec<EmbeddingInput>,
        receipts: &Arc<Receipts>,
    ) -> Result<RoutedEmbeddings, RequestError> {
        let id = RequestId::new();
        let receipt = receipts.open(id, model);
        let result = self.embed_somewhere(id, model, inputs, &receipt).await;
        let end = result.as_ref().map_or_else(|error| ReceiptEnd::of_error(error.code), |_| ReceiptEnd::Embedded);
        let prompt_tokens = result.as_ref().map_or(0, |routed| routed.embeddings.prompt_tokens);
        receipt.ended(end, ReceiptOutcome { prompt_tokens, ..ReceiptOutcome::default() });
        result
    }

    async fn embed_somewhere(
        &self,
        id: RequestId,
        model: &ModelId,
        inputs: Vec<EmbeddingInput>,
        receipt: &OpenReceipt,
    ) -> Result<RoutedEmbeddings, RequestError> {
        let mut refusals = Refusals::default();
        loop {
            let route = RouteRequest::for_embeddings(id, model, &inputs, refusals.schedulers())
                .longer_than(refusals.too_short());
            let assignment = self.choose(&route, &mut refusals, receipt).await?;
            let description = assignment.description()?;
            match assignment.scheduler.embed(inputs.clone()).await {
                Ok(embeddings) => {
                    assignment.health.succeeded();
                    return Ok(RoutedEmbeddings {
                        scheduler: assignment.scheduler.id().clone(),
                        description,
                        embeddings,
                    });
                }
                Err(error) => {
                    receipt.refused(error.code);
                    self.after_refusal(model, &assignment, error, &mut refusals)?;
                }
            }
        }
    }

    async fn choose(
        &self,
        route: &RouteRequest,
        refusals: &mut Refusals,
        receipt: &OpenReceipt,
    ) -> Result<Assignment, RequestError> {
        let mut assignment = self.chooser.choose(route).await.map_err(|error| refusals.exhausted(error))?;
        if let Some(decision) = assignment.decision.take() {
            receipt.decided(*decision);
        }
        Ok(assignment)
    }

    /// Returns if the request may be offered to another scheduler.
    fn after_refusal(
        &self,
        model: &ModelId,
        assignment: &Assignment,
        error: RequestError,
        refusals: &mut Refusals,
    ) -> Result<(), RequestError> {
        let code = error.code;
        assignment.failed(&error);
        if error.reason == Some(ErrorReason::ContextLengthExceeded)
            && let Some(too_short) = assignment.longer_elsewhere()
        {
            refusals.too_long_for(too_short);
            metrics::retried(model, code);
            return Ok(());
        }
        match refusals.record(assignment.scheduler.id().clone(), error, self.config.attempts_max) {
            Next::TryAnother if self.pay_for_retry(model) => {
                metrics::retried(model, code);
                Ok(())
            }
            Next::TryAnother => Err(refusals.exhausted(RequestError::new(code, "the retry budget is spent"))),
            Next::GiveUp(error) => Err(error),
        }
    }
}
