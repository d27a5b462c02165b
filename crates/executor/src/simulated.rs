//! An engine without a model: it takes the time that a cost model specifies, and
//! generates made-up text.
//!
//! It is for tests, load tests and capacity planning. An answer is a function of the
//! prompt (and of the seed, if the request samples), so tests can check on it whatever
//! must hold for a real engine, such as that concurrent answers equal solo ones. It
//! fails, panics and hangs on request ([`Faults`], [`SimulatedProbe`]).
//!
//! The planner decides what a step does and what it costs, without a clock; the driver
//! thread sleeps until the resulting instants.

mod candidates;
mod chooser;
mod codec;
mod config;
mod cost;
mod driver;
mod executor;
mod faults;
mod planner;
mod prefix_cache;
mod probe;
mod script;

pub use config::{InvalidSetting, SimulatedConfig};
pub use cost::CostModel;
pub use executor::SimulatedFactory;
pub use faults::{Fault, FaultKind, Faults, SequenceFault};
pub use probe::SimulatedProbe;
pub use script::{ScriptedCall, ScriptedTurn};
