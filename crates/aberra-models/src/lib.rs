//! Families of anomaly detectors: fitting to normal images, saving and loading, and inference on new images.
//!
//! A [`Family`] fits itself to training inputs and gives a [`Member`]; a member [infers](Member::infer) named measurements,
//! a map, an embedding and a reconstruction, as far as it has them. [`families::FAMILIES`] lists the families; a new one is
//! a file and a line. Gradient families share one training loop, [`train::train`].
//!
//! This crate reads and writes no files and no clock: the caller passes in images, and stores the checkpoints.
//! All images are `[height, width, channels]`, row-major, `f32` from 0 to 1.

mod backbone;
mod background;
mod bank;
pub mod families;
mod family;
mod features;
pub mod graph;
mod inputs;
pub mod measure;
mod member;
pub mod network;
mod of_channel;
pub mod pytorch;
mod resample;
mod scaled;
mod shape;
mod tensors;
pub mod train;
mod whitening;

pub use backbone::{Backbone, BackboneSource, Platform};
pub use family::{Family, Fitted, Preset, Settings, find, parse, preset, schema_of, to_settings};
pub use features::FeatureCache;
pub use inputs::Inputs;
pub use member::{Decoder, Member, Prior, SharedMember};
pub use of_channel::of_channel;
pub use scaled::scaled;
pub use shape::{Shape, channel_of, set_channel};
pub use tensors::{Tensors, Weight, prefixed, take_prefixed};
pub use train::{DrawAnomaly, FitContext, Judge};
