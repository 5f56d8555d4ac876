//! Aberra learns what *normal* looks like from normal images and says of every new image how abnormal it is, where,
//! and with what promise about false alarms.

pub mod calibrate;
pub mod dataset;
mod error;
pub mod evaluate;
pub mod phantom;
pub mod random;
pub mod statistics;

pub use aberra_image as image;
pub use error::Error;

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
