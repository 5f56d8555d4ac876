//! Aberra learns what *normal* looks like from normal images alone, scores new images for anomalies, shows where they are
//! unusual, and states how often it will be wrong about a normal one.
//!
//! # Train, score, explain
//!
//! A [`Dataset`](dataset::Dataset) is a folder of images or a manifest; [`Detector::train`] divides its normals, fits the
//! members and scorers, and calibrates a threshold with a coverage guarantee. [`Detector::score_one`] gives a [`Verdict`] on an
//! image or its file, [`Detector::score`] and [`Detector::score_files`] on many.
//!
//! ```
//! use aberra::dataset::{Dataset, OpenOptions};
//! use aberra::image::Image;
//! use aberra::phantom::{LesionKind, PhantomDataset, lesion_slice, write_dataset};
//! use aberra::{Detector, TrainConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Sixty drawn slices without a lesion, as PNG files.
//! let folder = tempfile::tempdir()?;
//! let normals =
//!     PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
//! write_dataset(folder.path(), &normals)?;
//!
//! // Settings as a file would hold them; a model this small trains in a second, and finds little.
//! let settings = TrainConfig::parse_layer(
//!     "preprocessing.size_px = 32
//!      train.epochs = 2
//!      split.by = 'none'
//!      promise.false_alarm_rate = 0.1
//!      [model]
//!      family = 'vae'
//!      channels = [4, 8]",
//! )?;
//! let config = TrainConfig::from_layers(&[settings])?;
//! let dataset = Dataset::open(folder.path(), &OpenOptions::default())?;
//! let detector = Detector::train(&dataset, &config)?;
//!
//! // The threshold is a calibration score: at most 10 % false alarms on average on exchangeable normal images.
//! assert_eq!(detector.calibration().promise.rate(), Some(0.1));
//!
//! // An array of grey values from 0 to 1, [height, width].
//! let lesion = lesion_slice(7, 0, 32, LesionKind::ALL[0]);
//! let image = Image::from_pixels(lesion.pixels, 32, 32, 1).ok_or("32 x 32 values")?;
//! let verdict = detector.score_one(&image)?;
//! assert_eq!(verdict.anomalous, verdict.score > verdict.threshold);
//! assert_eq!(verdict.map()?.len(), 32 * 32);
//!
//! // What was measured, by name, beside the calibration normals.
//! let story = detector.explain(&image)?;
//! let peak = story.evidence.iter().find(|one| one.name == "vae.peak_error").ok_or("measured")?;
//! assert!(peak.value > 0.0 && peak.percentile.is_some_and(|percentile| percentile <= 100.0));
//! # Ok(())
//! # }
//! ```
//!
//! # Calibrate and evaluate
//!
//! [`Detector::calibrate`] moves the threshold of a detector without training again; [`Detector::evaluate`] measures it on
//! labelled images that it has not seen, with intervals over groups; [`Detector::report`] gathers everything there is to
//! see. Long work is a [`job`]: it can be watched and stopped.
//!
//! # Extend
//!
//! A scorer is a type with [`score::ScorerKind`], a family one with [`models::Family`]. A [`Catalog`] makes them choices of
//! settings ([`TrainConfig::from_layers_with`]) and of detector files ([`Detector::load_with`]); see the examples
//! `custom_scorer` and `custom_family`.

mod calibrating;
mod canvas;
mod catalog;
mod checked_config;
pub mod comparison;
pub mod compute;
mod config;
#[cfg(test)]
mod custom;
pub mod dataset;
mod decode_error;
mod detector;
pub mod evaluate;
pub mod explain;
pub mod export;
mod figure;
mod files;
mod fit;
mod imported;
pub mod job;
mod judge;
mod layers;
mod member_settings;
mod members;
pub mod output;
pub mod phantom;
mod recalibrate;
pub mod report;
mod resume;
pub mod run;
pub mod score;
mod store;
mod tensor_names;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod testing;
mod text_table;
mod thumbnail;
mod training;
mod training_invalid;
mod training_settled;
mod training_tiles;
mod upgrade;
mod volume;
mod volume_calibration;
pub mod wire;

pub use aberra_image as image;
pub use aberra_metrics as metrics;
pub use aberra_metrics::{Error, Result, calibrate, random};
pub use aberra_models as models;
pub use catalog::Catalog;
pub use checked_config::CheckedConfig;
pub use config::{PromiseSettings, TrainConfig};
pub use decode_error::of_image;
pub use detector::{Detector, MemberProvenance, Normal, Part, PartSize, Provenance, Verdict};
pub use files::{FILES_CHUNK, OneImage};
pub use fit::TrainOptions;
pub use imported::ImportedModel;
pub use layers::{ENVIRONMENT_PREFIX, SettingsLayer, SettingsOrigin};
pub use member_settings::{MemberSettings, Models};
pub use members::NamedMember;
pub use recalibrate::{NewNormals, Recalibrated};
pub use training::{Message, TrainedDetector, Training, TrainingImages, TrainingRequest};
pub use volume::{DicomMap, RecalibratedVolumes, SliceScores, VolumeMap, VolumeVerdict};
pub use volume_calibration::{TOP_SHARE, VolumeCalibration, top_slices, volume_score};
