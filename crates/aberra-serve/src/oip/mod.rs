//! The Open Inference Protocol, version 2, over HTTP (`/v2`) and gRPC: a detector is a model; images and verdicts are
//! tensors. Clients of Triton and KServe work unchanged.
//!
//! [`tensors`] holds the values, [`model`] describes detectors as models, and [`infer`] goes from input to output
//! tensors. Above them lie the two transports: [`http`] with [`json`], and [`grpc`] with [`codec`].

mod codec;
#[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)] // Generated code.
#[rustfmt::skip]
mod generated;
pub(crate) mod grpc;
pub(crate) mod http;
mod infer;
mod json;
mod model;
mod tensors;
#[cfg(test)]
mod tests;
