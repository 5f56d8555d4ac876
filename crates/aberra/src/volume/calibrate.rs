//! Calibrates a detector on normal volumes: one score each, and one volume of each group.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use aberra_metrics::calibrate::{Calibration, Criterion};
use aberra_metrics::random::{Stream, generator};
use rand::RngExt;

use crate::dataset::{Dataset, GroupBy, Grouping, Inspection, Split};
use crate::detector::Detector;
use crate::job::{Event, Job};
use crate::volume_calibration::{TOP_SHARE, VolumeCalibration, check_top_share};
use crate::{Error, Result};

/// A detector calibrated on volumes, and on which.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecalibratedVolumes {
    /// The detector.
    pub detector: Detector,
    /// Groups of normal volumes, one volume of each of which was scored.
    pub groups: usize,
    /// Normal volumes in them.
    pub volumes: usize,
    /// Volumes left out because the detector learnt from a slice of them, from a near-duplicate, or from another image of their
    /// group.
    pub learnt_from: Vec<String>,
    /// Volumes with an anomalous slice, which were not looked at.
    pub anomalous: usize,
}

impl Detector {
    /// The same detector with a threshold for volumes from the normal volumes of a data set that is taken apart
    /// [by volume](Dataset::by_volume): one score of each group. What the detector was trained or its scorer fitted on is left
    /// out. The calibration of images stays as it is.
    ///
    /// # Errors
    /// Not one normal volume that was not learnt from, too few groups for the criterion, one that needs labels, or a share of
    /// slices that is none.
    pub fn recalibrate_volumes(
        &self,
        dataset: &Dataset,
        inspection: &Inspection,
        by: GroupBy,
        criterion: Criterion,
        top_share: Option<f64>,
    ) -> Result<RecalibratedVolumes> {
        let top_share = top_share.unwrap_or(self.top_share());
        check_top_share(top_share)?;
        let grouping = Grouping::of(dataset, inspection, by)?;
        let is_learnt_from = self.learnt_from(inspection);
        let known: BTreeSet<usize> = (0..is_learnt_from.len())
            .filter(|&at| is_learnt_from[at])
            .map(|at| grouping.group_of[at])
            .collect();
        let is_known = |samples: &[usize]| samples.iter().any(|&at| known.contains(&grouping.group_of[at]));
        let learnt_from: Vec<String> = dataset
            .volumes()
            .into_iter()
            .filter(|(_, samples)| is_known(samples))
            .map(|(name, _)| name.to_owned())
            .collect();
        let normals = normal_volumes(dataset);
        let anomalous = dataset.volumes().len() - normals.len();
        let normals: Vec<Vec<usize>> = normals.into_iter().filter(|samples| !is_known(samples)).collect();
        if normals.is_empty() {
            return Err(Error::data(format!(
                "expected normal volumes to calibrate on, found none: {} that the detector learnt from, {anomalous} with an \
                 anomalous slice",
                learnt_from.len()
            ))
            .with_path(&dataset.root)
            .with_hint("give normal volumes (NIfTI or DICOM) that the detector was not trained on"));
        }
        let volumes = normals.len();
        let chosen = one_of_each_group(normals, &grouping.group_of, self.config().seed);
        let groups = chosen.len();
        let detector =
            self.calibrated_on_volumes(dataset, &chosen, criterion, top_share, &mut Job::default())?;
        Ok(RecalibratedVolumes { detector, groups, volumes, learnt_from, anomalous })
    }

    /// The same detector with a threshold for volumes by another criterion, from the scores of the same volumes.
    ///
    /// # Errors
    /// The detector is not calibrated on volumes, or as [`Calibration::new`].
    pub fn calibrate_volumes(&self, criterion: Criterion) -> Result<Self> {
        let before = self.volume_calibration().ok_or_else(|| {
            Error::settings("expected a detector that is calibrated on volumes, found one that is not")
                .with_hint("give normal volumes with --data")
        })?;
        let calibration = before.calibration.with_criterion(None, criterion)?;
        Ok(self.with_volume_calibration(VolumeCalibration { calibration, ..before.clone() }))
    }

    /// The detector calibrated on the volumes of the split's calibration part, where the data set has volumes. If they are too
    /// few, it stays as it is, and the job is notified.
    pub(crate) fn with_volumes_of(self, dataset: &Dataset, split: &Split, job: &mut Job<'_>) -> Result<Self> {
        let calibration: BTreeSet<usize> = split.calibration.iter().map(|&at| split.group_of[at]).collect();
        let is_of_calibration =
            |samples: &Vec<usize>| samples.iter().all(|&at| calibration.contains(&split.group_of[at]));
        if dataset.volumes().is_empty() {
            return Ok(self);
        }
        let normals = normal_volumes(dataset).into_iter().filter(is_of_calibration).collect();
        let chosen = one_of_each_group(normals, &split.group_of, self.config().seed);
        let promise = self.config().promise;
        let criterion =
            Criterion::Conformal { rate: promise.false_alarm_rate, confidence: promise.confidence };
        match self.calibrated_on_volumes(dataset, &chosen, criterion, TOP_SHARE, job) {
            Ok(detector) => Ok(detector),
            Err(error) if error.is_interrupted() => Err(error),
            Err(error) => match job.tell(Event::VolumesNotCalibrated { error: &error }) {
                ControlFlow::Continue(()) => Ok(self),
                ControlFlow::Break(()) => Err(Error::interrupted("training was stopped")),
            },
        }
    }

    fn calibrated_on_volumes(
        &self,
        dataset: &Dataset,
        volumes: &[Vec<usize>],
        criterion: Criterion,
        top_share: f64,
        job: &mut Job<'_>,
    ) -> Result<Self> {
        let mut scores = Vec::with_capacity(volumes.len());
        let of = volumes.iter().map(Vec::len).sum();
        let mut done = 0;
        for samples in volumes {
            let slices =
                samples.iter().map(|&at| (dataset.samples[at].path.clone(), dataset.samples[at].page));
            scores.extend(self.score_of_slices(slices.collect(), top_share));
            done += samples.len();
            if job.tell(Event::Images { done, of }).is_break() {
                return Err(Error::interrupted("calibrating on volumes was stopped"));
            }
        }
        let calibration = Calibration::new(&scores, None, criterion)?;
        Ok(self.with_volume_calibration(VolumeCalibration { top_share, calibration }))
    }
}

/// The samples of each volume whose slices are all normal.
fn normal_volumes(dataset: &Dataset) -> Vec<Vec<usize>> {
    let is_normal = |samples: &Vec<usize>| samples.iter().all(|&at| dataset.samples[at].label.is_normal());
    dataset.volumes().into_iter().map(|(_, samples)| samples).filter(is_normal).collect()
}

/// One volume of each group, drawn at random: those of one patient are alike, and would promise more than they hold.
fn one_of_each_group(volumes: Vec<Vec<usize>>, group_of: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<Vec<usize>>> = BTreeMap::new();
    for samples in volumes {
        let Some(&first) = samples.first() else { continue };
        groups.entry(group_of[first]).or_default().push(samples);
    }
    let one = |(group, mut volumes): (usize, Vec<Vec<usize>>)| {
        let mut random = generator(seed, Stream::Representative, group as u64);
        volumes.swap_remove(random.random_range(0..volumes.len() as u64) as usize)
    };
    groups.into_iter().map(one).collect()
}
