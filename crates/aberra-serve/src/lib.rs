//! Serves detectors: a web app, a REST interface, the Open Inference Protocol over HTTP and gRPC, and metrics.
//!
//! A door: it parses requests, calls the library and formats responses. It holds no maths, and no path comes from a request: files of
//! evaluated images are asked for by number.
//!
//! Each module uses only those above it in this list:
//! - `options`, `log`, `metrics` (Prometheus), `statistics` (of one detector), `running`, `problem` (errors as responses);
//! - `detectors`: what is served, each under its name;
//! - `engine`: the bounded queue, decoding, and dynamic batching in front of the model;
//! - `announce`: verdicts that others are to see, and `webhook`, which is sent them;
//! - `state`: what every handler can reach;
//! - `evaluation` (in the background), `guard` (middleware), `assets` (the web app's files);
//! - `api` (REST) and `oip` (the Open Inference Protocol);
//! - `server`: routing, listening and graceful shutdown.

mod announce;
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
mod running;
mod server;
mod state;
mod statistics;
#[cfg(test)]
mod testing;
mod webhook;

pub use api::openapi;
pub use engine::BATCH_TOLERANCE;
pub use evaluation::EvaluationSource;
pub use log::{LogFormat, log};
pub use options::{Batching, PORT, ServeLimits, ServeOptions, TlsFiles, Webhook};
pub use server::{Listening, ServeError, Server, read_key};
