//! Integration tests of every route, status and limit of the server, mostly without sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod announced;
mod bodies;
mod calibrate;
mod channels;
mod detectors;
mod evaluation;
mod fixture;
mod guard;
mod openapi;
mod picture;
mod rest;
mod scores;
mod sockets;
mod volumes;
