//! Aberra learns what *normal* looks like from normal images and says of every new image how abnormal it is, where,
//! and with what promise about false alarms.

mod config;
pub mod dataset;
mod decode_error;
mod detector;
pub mod evaluate;
pub mod explain;
mod figure;
mod files;
mod learn;
pub mod model;
pub mod phantom;
pub mod report;
pub mod score;
mod store;
pub mod train;

pub use aberra_image as image;
pub use aberra_metrics::{Error, Result, calibrate, random};
pub use config::{ENVIRONMENT_PREFIX, PromiseSettings, TrainConfig};
pub use decode_error::of_image;
pub use detector::{Detector, Normal, Part, PartSize, Provenance, Verdict};
pub use files::FILES_CHUNK;
pub use learn::{Observer, TrainOptions};

/// The statistics that scorers, calibration and evaluation rest on.
pub mod statistics {
    pub use aberra_metrics::{binomial, covariance, filter, neighbours, regression, ssim};
}
