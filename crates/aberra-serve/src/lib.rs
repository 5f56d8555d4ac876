//! Serves detectors: a web app, a REST interface, the Open Inference Protocol over HTTP and gRPC, and metrics.
//!
//! A door: it takes requests apart, asks the library and puts answers together. It holds no maths. Nothing that comes in
//! with a request reaches the file system.

mod api;
mod assets;
mod detectors;
mod engine;
mod evaluation;
mod guard;
mod log;
mod metrics;
mod oip;
mod options;
mod problem;
mod server;
mod state;
mod statistics;
#[cfg(test)]
mod testing;

pub use api::openapi;
pub use engine::BATCH_TOLERANCE;
pub use evaluation::EvaluationSource;
pub use log::{LogFormat, log};
pub use options::{Batching, PORT, ServeLimits, ServeOptions, TlsFiles};
pub use server::{Listening, ServeError, Server, read_key};
