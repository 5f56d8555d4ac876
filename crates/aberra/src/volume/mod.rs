//! The verdict on a volume, its map, and the calibration behind it.

mod calibrate;
mod map;
mod scores;
mod verdict;

pub use calibrate::RecalibratedVolumes;
pub use map::{DicomMap, VolumeMap};
pub use scores::SliceScores;
pub use verdict::VolumeVerdict;
