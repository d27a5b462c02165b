//! The open loop: requests are sent when they are due, however long answers take.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Run, collect};
use crate::measure::RequestRecord;
use crate::shape::Arrivals;
use crate::workload::Job;

/// Most requests in flight. An open loop that asks for more than there is would
/// go on until memory or connections run out; by then it has shown what it can.
const IN_FLIGHT_MAX: u64 = 4096;

pub(super) async fn drive(run: Run, arrivals: Arrivals) -> Vec<RequestRecord> {
    let mut requests = JoinSet::new();
    for (nth, due) in (0..run.conversations()).zip(arrivals) {
        if run.extent.time_max.is_some_and(|most| due >= most) || run.live.in_flight() >= IN_FLIGHT_MAX {
            break;
        }
        let opening = run.opening(nth);
        sleep_until(Instant::from_std(run.origin + due)).await;
        requests.spawn(send(run.clone(), nth, opening, due));
    }
    collect(requests).await.into_iter().flatten().collect()
}

async fn send(run: Run, nth: u64, opening: Job, due: Duration) -> Vec<RequestRecord> {
    run.converse(nth, opening, Some(due)).await
}
