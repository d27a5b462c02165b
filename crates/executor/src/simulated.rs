//! An engine without a model: it takes the time that a stated cost model says,
//! and produces made-up text.
//!
//! It is for tests, load and capacity planning. Its answers are a function of the
//! prompt (and of the seed, where sampling is asked for), so that whatever holds
//! for a real engine, concurrent equals solo above all, can be tested with it.
//! It fails, panics and hangs on request ([`Faults`], [`SimulatedProbe`]).
//!
//! The planner decides what a step does and costs, without a clock; the driver
//! thread sleeps to the instants that follow from it.

mod candidates;
mod chooser;
mod codec;
mod config;
mod driver;
mod embedding;
mod executor;
mod faults;
mod planner;
mod prefix_cache;
mod probe;

pub use config::{CostModel, InvalidSetting, SimulatedConfig};
pub use executor::SimulatedFactory;
pub use faults::{Fault, FaultKind, Faults, SequenceFault};
pub use probe::SimulatedProbe;
