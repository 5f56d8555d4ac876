//! Aberra learns what *normal* looks like from normal images and says of every new image how abnormal it is, where,
//! and with what promise about false alarms.

pub mod calibrate;
mod config;
pub mod dataset;
mod detector;
mod error;
pub mod evaluate;
pub mod explain;
mod figure;
mod files;
mod learn;
pub mod model;
pub mod phantom;
pub mod random;
pub mod report;
pub mod score;
pub mod statistics;
mod store;
pub mod train;

pub use aberra_image as image;
pub use config::{ENVIRONMENT_PREFIX, PromiseSettings, TrainConfig};
pub use detector::{Detector, Normal, Part, PartSize, Provenance, Verdict};
pub use error::Error;
pub use files::FILES_CHUNK;
pub use learn::{Observer, TrainOptions};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
