//! A local scheduler passes the contract suite.

use std::sync::Arc;

use hostler_executor::simulated::SimulatedFactory;
use hostler_scheduler::contract::{Subject, run_all};
use hostler_scheduler::{LocalScheduler, Scheduler};

#[actix::test]
async fn a_local_scheduler_passes_the_contract() {
    let report = run_all(async |config, engine| {
        let factory = SimulatedFactory::new("simulated", engine).expect("the contract's engine is valid");
        let local = LocalScheduler::start(config, Arc::new(factory));
        Subject { scheduler: Arc::clone(&local) as Arc<dyn Scheduler>, local, connection: Box::new(()) }
    })
    .await;
    println!("{report}");
    report.assert_passed();
}
