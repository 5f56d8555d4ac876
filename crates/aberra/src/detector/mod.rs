//! The detector: preprocessing, members, scorers and calibration, saved as one file.

mod document;
mod verdict;

use std::path::Path;
use std::sync::Arc;

use aberra_image::{Image, Input, Tiles, Tiling};
use aberra_metrics::calibrate::{Calibration, Criterion, Labelled};
use aberra_models::measure::reference::Reference;
use aberra_models::measure::{Descriptor, Want};
use aberra_models::{Backbone, BackboneSource, Platform, Shape, Tensors, Weight, prefixed, take_prefixed};
use burn::tensor::Device;
use rayon::prelude::*;

pub(crate) use self::document::Document;
pub use self::document::{MemberProvenance, Normal, Part, PartSize, Provenance};
pub use self::verdict::Verdict;
use crate::canvas::Canvas;
use crate::catalog::Catalog;
use crate::checked_config::CheckedConfig;
use crate::compute;
use crate::config::TrainConfig;
use crate::dataset::{Fingerprint, Sketch};
use crate::decode_error::of_image;
use crate::members::{Measured, Members, NamedMember};
use crate::score::{Evidence, FittedScorer, SavedScorer, ScorerInput};
use crate::store::{self, FileKind, Stored};
use crate::tensor_names::{BACKBONE, THUMBNAILS, embeddings_name, member_prefix};
use crate::volume_calibration::VolumeCalibration;
use crate::{Error, Result, upgrade};

const KIND: FileKind = FileKind { name: "detector", version: 4, oldest: upgrade::OLDEST };

/// A fitted anomaly detector: scores images, explains verdicts, and can be recalibrated and evaluated.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(crate) document: Document,
    pub(crate) members: Members,
    /// For each member the embeddings of the document's normals, where it has an embedding space.
    pub(crate) embeddings: Vec<Option<Vec<Vec<f32>>>>,
    pub(crate) thumbnails: Option<Vec<f32>>,
    hash: Option<String>,
}

impl Detector {
    pub(crate) fn assemble(
        document: Document,
        members: Members,
        embeddings: Vec<Option<Vec<Vec<f32>>>>,
        thumbnails: Option<Vec<f32>>,
    ) -> Self {
        Self { document, members, embeddings, thumbnails, hash: None }
    }

    /// Loads and verifies a detector file, for the processor.
    ///
    /// # Errors
    /// As [`load_on`](Self::load_on).
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_on(path, &compute::cpu())
    }

    /// Loads and verifies a detector file, for a device.
    ///
    /// # Errors
    /// The file is missing, cut off, changed, of a version that cannot be read, or holds values that are not finite; or
    /// the environment variable `ABERRA_KERNELS` names instructions that the processor lacks.
    pub fn load_on(path: &Path, device: &Device) -> Result<Self> {
        Self::load_with(path, device, &Catalog::default())
    }

    /// Loads and verifies a detector file that may hold families and scorers of a catalog, for a device.
    ///
    /// # Errors
    /// As [`load_on`](Self::load_on), and a family or scorer that the catalog does not hold.
    pub fn load_with(path: &Path, device: &Device, catalog: &Catalog) -> Result<Self> {
        compute::instructions()?;
        Self::of_file(store::read(path, KIND)?, device, catalog).map_err(|error| error.with_path(path))
    }

    /// Verifies a detector file held in memory, for the processor.
    ///
    /// # Errors
    /// As [`load`](Self::load), less the reading.
    pub fn from_bytes(file: &[u8]) -> Result<Self> {
        compute::instructions()?;
        Self::of_file(store::decode(file, KIND)?, &compute::cpu(), &Catalog::default())
    }

    fn of_file(stored: Stored<serde_json::Value>, device: &Device, catalog: &Catalog) -> Result<Self> {
        let hash = stored.hash.clone();
        let (document, tensors) = match stored.version {
            upgrade::OLDEST => upgrade::from_version_3(stored.document, stored.tensors)?,
            _ => (stored.document, stored.tensors),
        };
        let unfit = |error: &dyn std::fmt::Display| {
            Error::detector(format!("the detector file's settings do not parse ({error})"))
        };
        let document: Document<TrainConfig, SavedScorer> =
            serde_json::from_value(document).map_err(|error| unfit(&error))?;
        let document = document.check_with(catalog).map_err(|error| unfit(&error))?;
        Ok(Self { hash: Some(hash), ..Self::from_stored(document, tensors, device)? })
    }

    fn from_stored(document: Document, mut tensors: Tensors, device: &Device) -> Result<Self> {
        document.calibration.verify()?;
        document.volumes.as_ref().map_or(Ok(()), VolumeCalibration::verify)?;
        let shape = document.config.input_shape();
        let platform = platform_of(&document, &mut tensors, device)?;
        let mut members = Vec::new();
        let mut embeddings = Vec::new();
        for settings in document.config.members() {
            let own = take_prefixed(&mut tensors, &member_prefix(&settings.name));
            let member = settings.load(shape, own, &platform)?;
            let held_out = tensors.remove(&embeddings_name(&settings.name));
            embeddings.push(joined_embeddings(&document, member.reference(), held_out)?);
            members.push(NamedMember {
                name: settings.name.clone(),
                family: settings.family.name().to_owned(),
                member,
            });
        }
        let thumbnails = match document.config.keep_thumbnails {
            true => Some(
                tensors
                    .remove(THUMBNAILS)
                    .ok_or_else(|| Error::detector(format!("the tensor {THUMBNAILS} is missing")))?,
            ),
            false => None,
        };
        if let Some(name) = tensors.keys().next() {
            return Err(Error::detector(format!("unexpected tensor {name}")));
        }
        let canvas = Canvas::of(&document.config.preprocessing)?;
        let members = Members::new(members, canvas, document.map_weights.clone());
        let names = members.descriptors().iter().map(|descriptor| descriptor.name.as_ref());
        if !names.eq(document.measurements.iter().map(String::as_str)) {
            return Err(Error::detector(format!(
                "expected the measurements {}, found those of other members: {}",
                document.measurements.join(", "),
                members.descriptors().iter().map(|one| one.name.as_ref()).collect::<Vec<_>>().join(", ")
            )));
        }
        let count = document.measurements.len();
        if document.normals.iter().any(|normal| normal.evidence.0.len() != count) {
            return Err(Error::detector(format!("expected {count} measurements of each normal")));
        }
        Ok(Self::assemble(document, members, embeddings, thumbnails.map(|weight| weight.values)))
    }

    /// Saves the detector: the file is replaced atomically and durably. Returns the content's hash.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<String> {
        store::write(path, KIND, &self.document, &self.tensors())
    }

    /// The detector file, held in memory; [`from_bytes`](Self::from_bytes) reads it.
    ///
    /// # Errors
    /// Values that a file cannot hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(store::encode(KIND, &self.document, &self.tensors())?.0)
    }

    /// The tensors of the detector file.
    fn tensors(&self) -> Tensors {
        let mut tensors = Tensors::new();
        // What a member's reference holds need not be written twice; of images with tiles, it holds tiles.
        let in_reference = if self.tiling().is_some() { 0 } else { self.count_of(Part::Train) };
        for (named, embeddings) in self.members.all().iter().zip(&self.embeddings) {
            tensors.extend(prefixed(named.member.tensors(), &member_prefix(&named.name)));
            if let Some(embeddings) = embeddings {
                tensors.insert(embeddings_name(&named.name), Weight::from_rows(&embeddings[in_reference..]));
            }
        }
        if let Some(own) = self.members.backbone().and_then(Backbone::own_weights) {
            tensors.extend(prefixed(own.clone(), BACKBONE));
        }
        if let Some(thumbnails) = &self.thumbnails {
            let count = self.document.normals.len();
            let shape = vec![count, thumbnails.len() / count.max(1)];
            tensors.insert(THUMBNAILS.to_owned(), Weight { shape, values: thumbnails.clone() });
        }
        tensors
    }

    /// Number of normals of one part. The normals are in the order train, fit, calibration.
    pub(crate) fn count_of(&self, part: Part) -> usize {
        self.document.normals.iter().filter(|normal| normal.part == part).count()
    }

    /// Verdicts on images, one each, in order. An image that cannot be used does not stop the others.
    pub fn score(&self, images: &[Image]) -> Vec<Result<Verdict>> {
        self.score_inputs(images.par_iter().map(|image| self.preprocess(image)).collect(), Want::ALL)
    }

    /// An image preprocessed: a network input, or the canvas of several.
    ///
    /// # Errors
    /// An image too small to be used, or one with values that are not finite.
    pub fn preprocess(&self, image: &Image) -> Result<Input> {
        self.document.config.preprocessing.apply(image).map_err(of_image)
    }

    /// The same of an image that is not needed any more, which takes less memory.
    ///
    /// # Errors
    /// As [`preprocess`](Self::preprocess).
    pub fn preprocess_owned(&self, image: Image) -> Result<Input> {
        self.document.config.preprocessing.apply_owned(image).map_err(of_image)
    }

    /// Verdicts on [preprocessed](Self::preprocess) images, one each, in order; an error stays where it is. Maps and
    /// reconstructions are computed on request.
    pub fn score_inputs(&self, inputs: Vec<Result<Input>>, want: Want) -> Vec<Result<Verdict>> {
        let needs_map = self.scorer().is_ok_and(FittedScorer::needs_map);
        let want = Want { map: want.map || needs_map, ..want };
        let pixels: Vec<&[f32]> = inputs.iter().flatten().map(|input| input.pixels.as_slice()).collect();
        let mut measured = self.members.measure(&pixels, want).into_iter();
        let pairs: Vec<_> = inputs
            .into_iter()
            .map(|input| {
                let input = input?;
                let measured =
                    measured.next().unwrap_or_else(|| Err(Error::input("the image was not measured")))?;
                Ok((input, measured))
            })
            .collect();
        pairs
            .into_par_iter()
            .map(|pair: Result<_>| pair.and_then(|(input, measured)| self.judge(input, measured)))
            .collect()
    }

    fn judge(&self, input: Input, measured: Measured) -> Result<Verdict> {
        let Measured { evidence, mut map, mut channel_maps, inferences, .. } = measured;
        let sample =
            ScorerInput { descriptors: self.descriptors(), evidence: &evidence, map: map.as_deref() };
        let score = self.scorer()?.score(&sample);
        if !score.is_finite() {
            return Err(Error::input(format!(
                "expected a finite score, found {score}: the image's values overflow"
            )));
        }
        let shape = self.canvas_shape();
        for map in [&mut map, &mut channel_maps].into_iter().flatten() {
            input.clear_unseen(map);
        }
        let calibration = &self.document.calibration;
        Ok(Verdict {
            score,
            p_value: calibration.p_value(score),
            threshold: calibration.threshold,
            anomalous: calibration.is_anomalous(score),
            evidence,
            map,
            channel_maps,
            shape,
            placement: input.placement,
            spacing_mm: input.source.spacing_mm,
            remarks: input.source.remarks,
            input: input.pixels,
            inferences,
        })
    }

    /// The descriptors of the evidence, in order: those of each member, then those of the image itself.
    pub fn descriptors(&self) -> &[Descriptor] {
        self.members.descriptors()
    }

    /// The members, in order.
    pub fn members(&self) -> &[NamedMember] {
        self.members.all()
    }

    /// Names of the channels of its images, of which each has a map and a measurement (`channel.NAME`); empty for images in grey and
    /// in colours.
    pub fn channels(&self) -> &[String] {
        self.members.channels()
    }

    /// The channel that is most unusual by its measurement, in units of the calibration normals' mean; `None` for images in grey and
    /// in colours.
    pub fn most_unusual_channel(&self, evidence: &Evidence) -> Option<usize> {
        let first = self.members.channels_at();
        let normals = || self.document.normals.iter().filter(|normal| normal.part == Part::Calibration);
        let usual =
            |at: usize| normals().map(|normal| normal.evidence.0[at]).sum::<f64>().max(f64::MIN_POSITIVE);
        let ratio = |channel: &usize| evidence.0[first + channel] / usual(first + channel);
        (0..self.channels().len()).max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
    }

    /// The shape of the network input.
    pub fn input_shape(&self) -> Shape {
        self.members.canvas().input()
    }

    /// The shape of a preprocessed image, of its map and its reconstruction: that of the network input, or of the canvas of
    /// several.
    pub fn canvas_shape(&self) -> Shape {
        self.members.canvas().shape()
    }

    /// The grid of network inputs that an image becomes, where there are several.
    pub fn tiling(&self) -> Option<&Tiling> {
        self.members.canvas().tiling()
    }

    /// The optional parts of an inference that at least one member can compute on request.
    pub fn gives(&self) -> Want {
        self.members().iter().fold(Want::MEASUREMENTS, |all, named| all.or(named.member.gives()))
    }

    /// The first member with an embedding space, in which images are shown and compared: its number.
    pub fn embedding_member(&self) -> Option<usize> {
        self.members().iter().position(|named| named.member.reference().is_some())
    }

    /// The training normals in the embedding space that is shown.
    pub fn reference(&self) -> Option<&Reference> {
        self.members()[self.embedding_member()?].member.reference()
    }

    /// A fitted scorer's score of evidence; NaN if the scorer needs a map.
    pub fn score_by(&self, scorer: &FittedScorer, evidence: &Evidence) -> f64 {
        scorer.score(&ScorerInput::new(self.descriptors(), evidence))
    }

    /// Every fitted scorer's score of evidence, by name. Scorers that need a map, and scores that are not finite, are left
    /// out.
    pub fn scores_of<'a>(&'a self, evidence: &'a Evidence) -> impl Iterator<Item = (&'static str, f64)> + 'a {
        self.fitted_scorers().iter().filter_map(|scorer| {
            let score = self.score_by(scorer, evidence);
            score.is_finite().then(|| (scorer.name(), score))
        })
    }

    /// The same detector with a threshold by another criterion; `labelled` is needed by the labelled criteria alone.
    ///
    /// # Errors
    /// As [`Calibration::new`].
    pub fn calibrate(&self, labelled: Option<Labelled<'_>>, criterion: Criterion) -> Result<Self> {
        let mut detector = self.clone();
        detector.document.calibration = self.document.calibration.with_criterion(labelled, criterion)?;
        detector.hash = None;
        Ok(detector)
    }

    /// The same detector with another calibration of volumes.
    pub(crate) fn with_volume_calibration(&self, volumes: VolumeCalibration) -> Self {
        let mut detector = self.clone();
        detector.document.volumes = Some(volumes);
        detector.hash = None;
        detector
    }

    /// The scorer that gives the detector's scores.
    ///
    /// # Errors
    /// The file names none.
    pub fn scorer(&self) -> Result<&FittedScorer> {
        self.fitted_scorer(&self.document.config.scorer)
    }

    /// Any scorer, fitted on the detector's fit split.
    ///
    /// # Errors
    /// It was not fitted; the message lists those that were.
    pub fn fitted_scorer(&self, name: &str) -> Result<&FittedScorer> {
        self.document.scorers.iter().find(|scorer| scorer.name() == name).ok_or_else(|| {
            let names: Vec<&str> = self.document.scorers.iter().map(FittedScorer::name).collect();
            Error::settings(format!(
                "scorer: expected one that this detector was fitted with ({}), found {name:?}",
                names.join(", ")
            ))
        })
    }

    /// Every scorer fitted on the detector's fit split.
    pub fn fitted_scorers(&self) -> &[FittedScorer] {
        &self.document.scorers
    }

    /// The settings it was made with.
    pub fn config(&self) -> &CheckedConfig {
        &self.document.config
    }

    /// The scores of the calibration normals, and the threshold derived from them.
    pub fn calibration(&self) -> &Calibration {
        &self.document.calibration
    }

    /// The threshold of single pixels, in the units of the map.
    pub fn pixel_threshold(&self) -> f64 {
        self.document.pixel_threshold
    }

    /// Mean KL divergence of each dimension of a member's embedding over the calibration normals, in nats. Empty if
    /// the embedding is not a distribution, or the file is older than this entry.
    pub fn kl_per_dimension(&self, member: usize) -> &[f64] {
        self.document.kl_per_dimension.get(member).map_or(&[], Vec::as_slice)
    }

    /// Its provenance.
    pub fn provenance(&self) -> &Provenance {
        &self.document.provenance
    }

    /// The normals it was made from.
    pub fn normals(&self) -> &[Normal] {
        &self.document.normals
    }

    /// For each image, the first of the [`normals`](Self::normals) that is the same image or a near-duplicate of it.
    pub fn find_copies(&self, images: &[&Fingerprint]) -> Vec<Option<usize>> {
        let sketches: Vec<Sketch> =
            self.document.normals.iter().map(|normal| normal.sketch.clone()).collect();
        Sketch::find_copies(&sketches, images, self.document.near_copy_similarity)
    }

    /// Embeddings of the [`normals`](Self::normals) by a member, in the same order; `None` if it has no embedding
    /// space.
    pub fn normal_embeddings(&self, member: usize) -> Option<&[Vec<f32>]> {
        self.embeddings.get(member)?.as_deref()
    }

    /// Hash of the file's content, hexadecimal; `None` until it is saved and loaded.
    pub fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }
}

/// What the members of a detector file compute with.
///
/// # Errors
/// Weights of the user's own that do not make a backbone.
fn platform_of(document: &Document, tensors: &mut Tensors, device: &Device) -> Result<Platform> {
    let own = take_prefixed(tensors, BACKBONE);
    if own.is_empty() {
        return document.config.platform(device);
    }
    let hash = document.provenance.backbone.as_deref().unwrap_or_default();
    let backbone =
        Backbone::from_own_weights(own, hash, device).map_err(|error| Error::detector(error.to_string()))?;
    Ok(Platform { device: device.clone(), backbone: BackboneSource::Own(Arc::new(backbone)) })
}

/// The embeddings of all normals: those of the member's reference, then those that are held out from it.
fn joined_embeddings(
    document: &Document,
    reference: Option<&Reference>,
    held_out: Option<Weight>,
) -> Result<Option<Vec<Vec<f32>>>> {
    let (reference, held_out) = match (reference, held_out) {
        (None, None) => return Ok(None),
        (Some(reference), Some(held_out)) => (reference, held_out),
        _ => return Err(Error::detector("expected embeddings of all normals, found those of some")),
    };
    let held_out = held_out.into_rows("embeddings of the normals")?;
    let dimensions = reference.dimensions();
    let in_reference = match document.config.preprocessing.tiles {
        Tiles::Grid(_) => &[],
        _ => reference.embeddings(),
    };
    let embeddings: Vec<Vec<f32>> = in_reference.iter().cloned().chain(held_out).collect();
    let train = document.normals.iter().filter(|normal| normal.part == Part::Train).count();
    if embeddings.len() == document.normals.len()
        && reference.embeddings().len().is_multiple_of(train.max(1))
        && embeddings.iter().all(|embedding| embedding.len() == dimensions)
    {
        return Ok(Some(embeddings));
    }
    Err(Error::detector(format!(
        "expected embeddings of {} normals, found {} of length {dimensions}",
        document.normals.len(),
        embeddings.len()
    )))
}
