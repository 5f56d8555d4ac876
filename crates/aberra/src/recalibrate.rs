//! Calibrates a detector anew on other normal images, such as those of another camera or month, without training again.

use std::collections::BTreeMap;

use aberra_image::RelativeRegion;
use aberra_metrics::calibrate::{Calibration, Criterion, Promise};
use aberra_metrics::random::{Stream, generator};
use aberra_models::Inputs;
use rand::RngExt;

use crate::calibrating::Calibrated;
use crate::dataset::{Dataset, GroupBy, Grouping, Inspection, Sketch};
use crate::detector::{Detector, Document, Normal, Part, PartSize, Provenance, Verdict};
use crate::fit::{embeddings, load, thumbnails};
use crate::{Error, Result};

/// A detector calibrated anew, and on what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recalibrated {
    /// The detector.
    pub detector: Detector,
    /// Groups of normal images, one image of each of which was scored.
    pub groups: usize,
    /// Normal images in them.
    pub images: usize,
    /// Samples left out because the detector learnt from them, from a near-duplicate, or from another image of their group.
    pub learnt_from: Vec<usize>,
    /// Anomalous samples, which were not looked at.
    pub anomalous: usize,
}

/// Normal images on which a detector can be calibrated anew.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewNormals {
    /// One image of each group.
    pub samples: Vec<usize>,
    /// Images of these groups.
    pub images: usize,
    /// Images left out because the detector learnt from them, from a near-duplicate, or from another image of their group.
    pub learnt_from: Vec<usize>,
}

/// What a detector holds of the normals that it was trained and its scorer fitted on: all but those of its calibration.
struct LearntFrom {
    normals: Vec<Normal>,
    /// Of each member, where it has any.
    embeddings: Vec<Option<Vec<Vec<f32>>>>,
    thumbnails: Option<Vec<f32>>,
}

impl Detector {
    /// The same detector, which ignores further areas of its images: what lies around them takes their place, and maps have nothing in
    /// them. Its scores are others, so it has no calibration scores, p-values or guarantee until it is [calibrated anew](Self::recalibrate);
    /// the threshold is the former one.
    ///
    /// # Errors
    /// An area that reaches beyond the image, or more areas than can be ignored.
    pub fn ignoring(&self, areas: &[RelativeRegion]) -> Result<Self> {
        let threshold = self.calibration().threshold;
        let calibration = Calibration {
            scores: Vec::new(),
            threshold,
            criterion: Criterion::Fixed { threshold },
            promise: Promise::Fixed,
        };
        let LearntFrom { normals, embeddings, thumbnails } = self.held_of_learnt();
        let document = Document {
            config: self.config().ignoring(areas)?,
            calibration,
            volumes: None,
            provenance: Provenance { calibration: PartSize::default(), ..self.provenance().clone() },
            normals,
            ..self.document.clone()
        };
        Ok(Self::assemble(document, self.members.clone(), embeddings, thumbnails))
    }

    fn held_of_learnt(&self) -> LearntFrom {
        let kept = self.normals().len() - self.count_of(Part::Calibration);
        let each = |all: &Vec<f32>| all.len() / self.normals().len().max(1);
        LearntFrom {
            normals: self.normals()[..kept].to_vec(),
            embeddings: self.embeddings.iter().map(|all| Some(all.as_ref()?[..kept].to_vec())).collect(),
            thumbnails: self.thumbnails.as_ref().map(|all| all[..kept * each(all)].to_vec()),
        }
    }

    /// The same detector with its thresholds from other normal images: one score of each group of near-duplicates. What the
    /// detector was trained or its scorer fitted on is left out; images of its former calibration may be used again.
    ///
    /// # Errors
    /// Not one normal image that can be read and was not learnt from, too few groups for the criterion, or a criterion that
    /// needs labels.
    pub fn recalibrate(
        &self,
        dataset: &Dataset,
        inspection: &Inspection,
        by: GroupBy,
        criterion: Criterion,
    ) -> Result<Recalibrated> {
        let grouping = Grouping::of(dataset, inspection, by)?;
        let is_normal = |index: usize| dataset.samples[index].label.is_normal();
        let NewNormals { samples, images, learnt_from } = self.new_normals(inspection, &grouping, is_normal);
        let anomalous = dataset.counts().1;
        if samples.is_empty() {
            return Err(Error::data(format!(
                "expected normal images to calibrate on, found none: {} that the detector learnt from, {anomalous} \
                 anomalous, and {} that cannot be read",
                learnt_from.len(),
                inspection.unreadable().len()
            ))
            .with_path(&dataset.root)
            .with_hint("give normal images that the detector was not trained on"));
        }
        let groups = samples.len();
        let inputs = load(dataset, &grouping.group_of, &samples, self.config(), self.canvas_shape(), 0)?;
        let detector = self
            .calibrated_on(&inputs, dataset.name(), inspection, &samples, criterion)
            .map_err(|error| match learnt_from.len() {
                0 => error,
                count => error.with_hint(format!(
                    "{count} normal images were left out, because the detector learnt from them or from near-duplicates: give \
                     others, or a larger rate"
                )),
            })?;
        Ok(Recalibrated { detector, groups, images, learnt_from, anomalous })
    }

    /// Of decoded images, all normal, those whose scores calibrate the detector anew: one of each group of near-duplicates,
    /// none that it learnt from.
    ///
    /// # Errors
    /// Not one is left; as [`Grouping::of_images`].
    pub fn choose_normals(&self, inspection: &Inspection) -> Result<NewNormals> {
        let found = self.new_normals(inspection, &Grouping::of_images(inspection)?, |_| true);
        if found.samples.is_empty() {
            return Err(Error::data(format!(
                "expected normal images to calibrate on, found none: {} that the detector learnt from, and {} that cannot be \
                 read",
                found.learnt_from.len(),
                inspection.unreadable().len()
            ))
            .with_hint("give normal images that the detector was not trained on"));
        }
        Ok(found)
    }

    /// The same detector with its thresholds from decoded images that [`choose_normals`](Self::choose_normals) chose, in place of a data
    /// set: `verdicts` of its samples in their order, by this detector. `name` is what the images are called in its provenance.
    ///
    /// # Errors
    /// Not as many verdicts as chosen images, too few groups for the criterion, or a criterion that needs labels.
    pub fn recalibrate_images(
        &self,
        name: &str,
        inspection: &Inspection,
        chosen: &NewNormals,
        verdicts: &[Verdict],
        criterion: Criterion,
    ) -> Result<Self> {
        if verdicts.len() != chosen.samples.len() {
            let (expected, found) = (chosen.samples.len(), verdicts.len());
            return Err(Error::input(format!("expected verdicts on {expected} images, found {found}")));
        }
        let read = |index: usize| Ok(verdicts[index].input.clone());
        let inputs = Inputs::new(verdicts.len(), self.canvas_shape(), 0, read)?;
        self.calibrated_on(&inputs, name.to_owned(), inspection, &chosen.samples, criterion)
    }

    fn new_normals(
        &self,
        inspection: &Inspection,
        grouping: &Grouping,
        is_normal: impl Fn(usize) -> bool,
    ) -> NewNormals {
        let is_learnt_from = self.learnt_from(inspection);
        let mut is_known = vec![false; grouping.count];
        for (index, &group) in grouping.group_of.iter().enumerate() {
            is_known[group] |= is_learnt_from[index];
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut learnt_from = Vec::new();
        for (index, &group) in grouping.group_of.iter().enumerate() {
            match () {
                () if !is_normal(index) || inspection.get(index).is_none() => {}
                () if is_known[group] => learnt_from.push(index),
                () => groups.entry(group).or_default().push(index),
            }
        }
        let images = groups.values().map(Vec::len).sum();
        let one = |(group, images): (usize, Vec<usize>)| {
            let mut random = generator(self.config().seed, Stream::Representative, group as u64);
            images[random.random_range(0..images.len() as u64) as usize]
        };
        NewNormals { samples: groups.into_iter().map(one).collect(), images, learnt_from }
    }

    /// For each image whether members or scorer were fitted to it or to a near-duplicate.
    pub(crate) fn learnt_from(&self, inspection: &Inspection) -> Vec<bool> {
        let learnt = self.normals().iter().filter(|normal| normal.part != Part::Calibration);
        let sketches: Vec<Sketch> = learnt.map(|normal| normal.sketch.clone()).collect();
        let read: Vec<usize> =
            (0..inspection.images.len()).filter(|&index| inspection.get(index).is_some()).collect();
        let fingerprints: Vec<_> =
            read.iter().filter_map(|&index| Some(&inspection.get(index)?.fingerprint)).collect();
        let copies = Sketch::find_copies(&sketches, &fingerprints, self.document.near_copy_similarity);
        let mut is_learnt_from = vec![false; inspection.images.len()];
        read.into_iter().zip(copies).for_each(|(index, copy)| is_learnt_from[index] = copy.is_some());
        is_learnt_from
    }

    fn calibrated_on(
        &self,
        inputs: &Inputs<'_>,
        name: String,
        inspection: &Inspection,
        samples: &[usize],
        criterion: Criterion,
    ) -> Result<Self> {
        let pixel_rate = match criterion {
            Criterion::Conformal { rate, .. } => rate,
            // So few images may not support the rate of the former promise; another criterion promises none.
            _ => self.config().promise.false_alarm_rate.max(1.0 / samples.len().max(1) as f64),
        };
        let calibrated = Calibrated::on(inputs, &self.members, self.scorer()?, criterion, pixel_rate)?;
        let LearntFrom { mut normals, embeddings: before, thumbnails: drawn } = self.held_of_learnt();
        for (&index, measured) in samples.iter().zip(&calibrated.measured) {
            let seen = inspection.get(index).ok_or_else(|| Error::data("an image could not be read"))?;
            normals.push(Normal {
                part: Part::Calibration,
                sketch: Sketch::of(&seen.fingerprint),
                evidence: measured.evidence.clone(),
            });
        }
        let thumbnails = match drawn {
            Some(drawn) => Some([drawn, thumbnails(&[inputs])?].concat()),
            None => None,
        };
        let new = embeddings(calibrated.measured, self.members.all().len());
        let joined = before.into_iter().zip(new).map(|(before, new)| Some([before?, new?].concat()));
        let document = Document {
            calibration: calibrated.calibration,
            pixel_threshold: calibrated.pixel_threshold,
            kl_per_dimension: calibrated.kl_per_dimension,
            provenance: Provenance {
                calibration: PartSize { images: samples.len(), groups: samples.len() },
                calibrated_on: Some(name),
                ..self.provenance().clone()
            },
            normals,
            ..self.document.clone()
        };
        Ok(Self::assemble(document, self.members.clone(), joined.collect(), thumbnails))
    }
}
