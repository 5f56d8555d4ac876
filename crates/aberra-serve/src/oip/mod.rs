//! The Open Inference Protocol, version 2, over HTTP (`/v2`) and gRPC: a detector is a model, images and verdicts are
//! tensors. Clients of Triton and KServe work unchanged.
//!
//! [`tensors`] knows values, [`model`] what a detector looks like, [`infer`] what is asked and answered; [`http`] with
//! [`json`], and [`grpc`] with [`codec`], say the same in two ways.

mod codec;
#[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)] // Made by a program.
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
