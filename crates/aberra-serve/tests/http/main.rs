//! Every route, status and limit of the server, asked without sockets.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

mod bodies;
mod detectors;
mod evaluation;
mod fixture;
mod guard;
mod openapi;
mod rest;
mod scores;
mod sockets;
