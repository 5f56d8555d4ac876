//! The detector: preprocessing, model, scorer and calibration, saved as one file.

use std::collections::BTreeMap;
use std::path::Path;

use aberra_image::{Image, Input, Placement};
use burn::tensor::Device;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calibrate::{Calibration, Criterion, Labelled};
use crate::config::TrainConfig;
use crate::dataset::{Fingerprint, Sketch};
use crate::model::{Model, Weight, instructions, load_weights, weights};
use crate::score::{ErrorMap, Evidence, FittedScorer, LatentReference, Response, SCORERS, respond};
use crate::store::{self, FileKind};
use crate::{Error, Result, of_image};

const KIND: FileKind = FileKind { name: "detector", version: 3 };

/// Learns what normal is, and says of an image how far from it that image is.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(crate) document: Document,
    pub(crate) model: Model,
    pub(crate) reference: LatentReference,
    /// Posterior means of the document's normals.
    pub(crate) mu: Vec<Vec<f32>>,
    pub(crate) thumbnails: Option<Vec<f32>>,
    hash: Option<String>,
}

/// Everything in the file but weights and latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) config: TrainConfig,
    /// Every scorer that the fit split's normals support, so that they can be compared.
    pub(crate) scorers: Vec<FittedScorer>,
    pub(crate) calibration: Calibration,
    /// In the units of the error map.
    pub(crate) pixel_threshold: f64,
    pub(crate) provenance: Provenance,
    pub(crate) normals: Vec<Normal>,
    /// Images more similar than this are near-copies.
    pub(crate) near_copy_similarity: f32,
    /// Mean over the calibration normals, nats. Empty in files that are older than it.
    #[serde(default)]
    pub(crate) kl_per_dimension: Vec<f64>,
}

/// What a detector was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of Aberra.
    pub aberra_version: String,
    /// The name of the data set's folder or manifest, without where it lies.
    pub dataset: String,
    /// Images and groups in each part.
    pub train: PartSize,
    /// The fit split.
    pub fit: PartSize,
    /// The calibration split.
    pub calibration: PartSize,
    /// Weights of the model.
    pub parameters: usize,
    /// Epochs after which the weights were taken.
    pub best_epoch: usize,
    /// How far the scorer rises when synthetic anomalies are drawn into held-out normals, in standard deviations of their
    /// own scores; what chose the weights.
    pub synthetic_rise: Option<f64>,
}

/// Images and groups of one part of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSize {
    /// Images.
    pub images: usize,
    /// Groups.
    pub groups: usize,
}

/// A normal image that the detector was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// What it was used for.
    pub part: Part,
    /// What recognises it and its near-copies; no picture.
    pub sketch: Sketch,
    /// Its evidence.
    pub evidence: Evidence,
}

/// Parts of a split that a detector is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Trains the model.
    Train,
    /// Fits the scorers; held out from training.
    Fit,
    /// Gives the threshold.
    Calibration,
}

/// What a detector says of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How abnormal the image is; in the scorer's own units, never clamped or rescaled.
    pub score: f64,
    /// Share of normal images at least this abnormal, by the calibration split.
    pub p_value: f64,
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Whether the score lies above the threshold.
    pub anomalous: bool,
    /// What was measured.
    pub evidence: Evidence,
    /// Where it is unusual, at the network input's size.
    pub error_map: ErrorMap,
    /// The network input, `[size_px, size_px, channels]`.
    pub input: Vec<f32>,
    /// What the model made of it.
    pub response: Response,
    /// Where in the image the network input lies.
    pub placement: Placement,
}

impl Verdict {
    /// The error map at the image's own size, `[height, width]`; 0 where the network input does not reach.
    ///
    /// # Errors
    /// The map does not fit the placement.
    pub fn error_map_at_image_size(&self) -> Result<Vec<f32>> {
        self.placement.restore(&self.error_map.values, self.error_map.size_px).map_err(of_image)
    }
}

impl Detector {
    pub(crate) fn assemble(
        document: Document,
        model: Model,
        mu: Vec<Vec<f32>>,
        thumbnails: Option<Vec<f32>>,
    ) -> Result<Self> {
        let train = document.normals.iter().zip(&mu).filter(|(normal, _)| normal.part == Part::Train);
        let train: Vec<Vec<f32>> = train.map(|(_, mu)| mu.clone()).collect();
        let reference = LatentReference::new(&train)?;
        Ok(Self { document, model, reference, mu, thumbnails, hash: None })
    }

    /// Loads and verifies a detector file.
    ///
    /// # Errors
    /// The file is missing, cut off, changed, of another version, or holds values that are not finite; or the
    /// environment variable `ABERRA_KERNELS` asks for instructions that the processor lacks.
    pub fn load(path: &Path) -> Result<Self> {
        instructions()?;
        let stored = store::read::<Document>(path, KIND)?;
        let hash = stored.hash.clone();
        let detector = Self::from_stored(stored).map_err(|error| error.with_path(path))?;
        Ok(Self { hash: Some(hash), ..detector })
    }

    fn from_stored(stored: store::Stored<Document>) -> Result<Self> {
        let store::Stored { document, mut tensors, .. } = stored;
        document.config.check()?;
        document.calibration.verify()?;
        let config = &document.config;
        let (size_px, channels) = (config.preprocessing.size_px, config.preprocessing.color.channels());
        let mut take = |name: &str| {
            tensors.remove(name).ok_or_else(|| Error::detector(format!("the tensor {name} is missing")))
        };
        let mu = take("normals/mu")?;
        let thumbnails = config.keep_thumbnails.then(|| take("normals/thumbnails")).transpose()?;
        let [count, latent] = mu.shape[..] else {
            return Err(Error::detector("normals/mu: expected two axes"));
        };
        if count != document.normals.len() || latent == 0 {
            return Err(Error::detector(format!(
                "normals/mu: expected {} rows, found {count} of length {latent}",
                document.normals.len()
            )));
        }
        let mu = mu.values.chunks_exact(latent).map(<[f32]>::to_vec).collect();
        let weights: BTreeMap<String, Weight> = tensors
            .into_iter()
            .map(|(name, weight)| match name.strip_prefix("model/") {
                Some(name) => Ok((name.to_owned(), weight)),
                None => Err(Error::detector(format!("unexpected tensor {name}"))),
            })
            .collect::<Result<_>>()?;
        let model = Model::new(&config.model, size_px, channels, config.seed, &Device::flex())?;
        let model = load_weights(model, weights)?;
        let thumbnails = thumbnails.map(|weight| weight.values);
        Self::assemble(document, model, mu, thumbnails)
    }

    /// Saves the detector: the file is replaced whole and durably, or not at all. Returns the content's hash.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<String> {
        let mut tensors: BTreeMap<String, Weight> = weights(&self.model)
            .into_iter()
            .map(|(name, weight)| (format!("model/{name}"), weight))
            .collect();
        let mu = Weight { shape: vec![self.mu.len(), self.model.latent()], values: self.mu.concat() };
        tensors.insert("normals/mu".to_owned(), mu);
        if let Some(thumbnails) = &self.thumbnails {
            let shape = vec![self.mu.len(), thumbnails.len() / self.mu.len().max(1)];
            tensors.insert("normals/thumbnails".to_owned(), Weight { shape, values: thumbnails.clone() });
        }
        store::write(path, KIND, &self.document, &tensors)
    }

    /// Verdicts on images, one each, in order. An image that cannot be used does not stop the others.
    pub fn score(&self, images: &[Image]) -> Vec<Result<Verdict>> {
        self.score_inputs(images.par_iter().map(|image| self.preprocess(image)).collect())
    }

    /// What the model sees of an image.
    ///
    /// # Errors
    /// An image too small to be used, or one with values that are not finite.
    pub fn preprocess(&self, image: &Image) -> Result<Input> {
        self.document.config.preprocessing.apply(image).map_err(of_image)
    }

    /// Verdicts on [preprocessed](Self::preprocess) images, one each, in order; an error stays where it is.
    pub fn score_inputs(&self, inputs: Vec<Result<Input>>) -> Vec<Result<Verdict>> {
        let pixels: Vec<&[f32]> = inputs.iter().flatten().map(|input| input.pixels.as_slice()).collect();
        let mut responses = match respond(&self.model, &pixels) {
            Ok(responses) => responses.into_iter(),
            Err(error) => {
                let text = error.to_string();
                return inputs.into_iter().map(|input| input.and(Err(Error::input(text.clone())))).collect();
            }
        };
        let pairs: Vec<_> = inputs
            .into_iter()
            .map(|input| {
                let input = input?;
                let response = responses.next().ok_or_else(|| Error::input("the model gave no response"))?;
                Ok((input, response))
            })
            .collect();
        pairs
            .into_par_iter()
            .map(|pair: Result<_>| pair.and_then(|(input, response)| self.judge(input, response)))
            .collect()
    }

    fn judge(&self, input: Input, response: Response) -> Result<Verdict> {
        let (size_px, channels) = (input.size_px, input.channels);
        let evidence = Evidence::measure(&input.pixels, size_px, channels, &response)?
            .with_reference(&self.reference, &response.mu)?;
        let score = self.scorer()?.score(&evidence)?;
        if !score.is_finite() {
            return Err(Error::input(format!(
                "expected a finite score, found {score}: the image's values overflow"
            )));
        }
        let calibration = &self.document.calibration;
        Ok(Verdict {
            score,
            p_value: calibration.p_value(score).unwrap_or(f64::NAN),
            threshold: calibration.threshold,
            anomalous: calibration.is_anomalous(score),
            evidence,
            error_map: ErrorMap::new(&input.pixels, size_px, channels, &response),
            placement: input.placement,
            input: input.pixels,
            response,
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
    /// There is none of that name.
    pub fn fitted_scorer(&self, name: &str) -> Result<&FittedScorer> {
        self.document.scorers.iter().find(|scorer| scorer.name() == name).ok_or_else(|| {
            let names: Vec<&str> = SCORERS.iter().map(|scorer| scorer.name()).collect();
            Error::settings(format!("scorer: expected one of {}, found {name:?}", names.join(", ")))
        })
    }

    /// Every scorer fitted on the detector's fit split.
    pub fn fitted_scorers(&self) -> &[FittedScorer] {
        &self.document.scorers
    }

    /// The settings it was made with.
    pub fn config(&self) -> &TrainConfig {
        &self.document.config
    }

    /// Scores of the calibration normals and the threshold drawn from them.
    pub fn calibration(&self) -> &Calibration {
        &self.document.calibration
    }

    /// Errors above it, in the units of the error map, are marked.
    pub fn pixel_threshold(&self) -> f64 {
        self.document.pixel_threshold
    }

    /// Mean KL divergence of each latent dimension over the calibration normals, nats: what each is used for. Empty where
    /// the file was written before it was kept.
    pub fn kl_per_dimension(&self) -> &[f64] {
        &self.document.kl_per_dimension
    }

    /// What it was made from.
    pub fn provenance(&self) -> &Provenance {
        &self.document.provenance
    }

    /// The normals it was made from.
    pub fn normals(&self) -> &[Normal] {
        &self.document.normals
    }

    /// For each image, the first of the [`normals`](Self::normals) that is the same image or a near-copy of it.
    pub fn find_copies(&self, images: &[&Fingerprint]) -> Vec<Option<usize>> {
        let sketches: Vec<Sketch> =
            self.document.normals.iter().map(|normal| normal.sketch.clone()).collect();
        Sketch::find_copies(&sketches, images, self.document.near_copy_similarity)
    }

    /// Posterior means of the [`normals`](Self::normals), in the same order.
    pub fn normals_mu(&self) -> &[Vec<f32>] {
        &self.mu
    }

    /// The training normals in latent space.
    pub fn latent_reference(&self) -> &LatentReference {
        &self.reference
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Hash of the file's content, hexadecimal; `None` until it is saved and loaded.
    pub fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }
}
