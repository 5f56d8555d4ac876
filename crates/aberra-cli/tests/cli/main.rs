//! Integration tests of the program in fresh folders: exit codes, both streams, and files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_detectors;
mod bad_images;
mod bad_use;
mod benchmarking;
mod evaluating;
mod exporting;
mod faults;
mod files;
mod help;
mod importing;
mod kills;
mod outputs;
mod pictures;
mod program;
mod reading;
mod reporting;
mod run_folders;
mod scoring;
mod serving;
mod sharding;
mod training;
mod volumes;
