//! Aberra learns what *normal* looks like from normal images alone, scores new images for anomalies, shows where they are
//! unusual, and states how often it will be wrong about a normal one.

pub mod compute;
mod config;
pub mod dataset;
mod decode_error;
mod detector;
pub mod evaluate;
pub mod explain;
mod figure;
mod files;
mod fit;
pub mod job;
mod judge;
mod member_settings;
mod members;
pub mod phantom;
pub mod report;
pub mod run;
pub mod score;
mod store;
mod thumbnail;
mod upgrade;
pub mod wire;

pub use aberra_image as image;
pub use aberra_metrics as metrics;
pub use aberra_metrics::{Error, Result, calibrate, random};
pub use aberra_models as models;
pub use config::{ENVIRONMENT_PREFIX, PromiseSettings, TrainConfig};
pub use decode_error::of_image;
pub use detector::{Detector, MemberProvenance, Normal, Part, PartSize, Provenance, Verdict};
pub use files::FILES_CHUNK;
pub use fit::TrainOptions;
pub use member_settings::{MemberSettings, Models};
pub use members::NamedMember;
