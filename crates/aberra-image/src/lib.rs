//! Bytes -> image -> network input: decoding with limits, and preprocessing.
//!
//! The only crate of Aberra that decodes. It knows nothing of models, data sets or scores.

mod decode;
mod error;
mod image;
mod limits;
mod preprocess;

pub use decode::{decode, read};
pub use error::Error;
pub use image::{ColorMode, Format, Image, Source};
pub use limits::Limits;
pub use preprocess::{Color, ForegroundCrop, Input, IntensityScaling, Placement, Preprocessing};
