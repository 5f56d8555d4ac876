//! Serves detectors: a web app, a REST interface, the Open Inference Protocol over HTTP and gRPC, and metrics.
//!
//! A door: it parses requests, calls the library and formats responses. It holds no maths, and nothing in a request
//! reaches the file system.
//!
//! Each module uses only those above it in this list:
//! - `options`, `log`, `metrics` (Prometheus), `statistics` (of one detector), `problem` (errors as responses);
//! - `detectors`: what is served, each under its name;
//! - `engine`: the bounded queue, decoding, and dynamic batching in front of the model;
//! - `state`: what every handler can reach;
//! - `evaluation` (in the background), `guard` (middleware), `assets` (the web app's files);
//! - `api` (REST) and `oip` (the Open Inference Protocol);
//! - `server`: routing, listening and graceful shutdown.

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
mod priority;
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
