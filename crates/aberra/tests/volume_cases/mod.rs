//! One volume of a file, and what a detector reports for it: for the tests of volumes.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::dataset::{Case, Volume, find_cases};
use aberra::image::Limits;
use aberra::models::measure::Want;
use aberra::{Detector, VolumeVerdict};

pub(crate) fn volume_of(path: PathBuf) -> Volume {
    match find_cases(vec![path], &Limits::default()).cases.remove(0) {
        Case::Volume(volume) => volume,
        Case::Image { path, .. } => panic!("{path:?} is no volume"),
    }
}

pub(crate) fn judged(detector: &Detector, volume: &Volume) -> VolumeVerdict {
    detector.score_volume(volume, Want::MEASUREMENTS, |_, _| ControlFlow::Continue(())).unwrap()
}
