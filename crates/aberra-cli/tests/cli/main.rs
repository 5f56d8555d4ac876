//! The real program in fresh folders: exit codes, both streams, and what is left on disk.

mod bad_detectors;
mod bad_images;
mod bad_use;
mod evaluating;
mod files;
mod help;
mod pictures;
mod program;
mod scoring;
mod training;
