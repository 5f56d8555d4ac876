//! Serves detectors: a web app, a REST interface, the Open Inference Protocol over HTTP and gRPC, and metrics.
//!
//! A door: it takes requests apart, asks the library and puts answers together. It holds no maths. Nothing that comes in
//! with a request reaches the file system.

mod detectors;
mod engine;
mod metrics;
mod options;
mod problem;
mod state;

pub use detectors::Served;
pub use options::{Batching, Limits, ServeOptions};
