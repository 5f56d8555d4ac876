//! A detector in short: what it was made from, its members, its threshold and what that guarantees.

use aberra_image::{TileGrid, Tiling};
use aberra_metrics::calibrate::{Calibration, Criterion};
use aberra_models::Shape;
use serde::Serialize;

use crate::Result;
use crate::detector::{Detector, PartSize};
use crate::score::{EvidenceWeight, FittedScorer};
use crate::volume_calibration::VolumeCalibration;

/// A detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DetectorCard {
    /// Its name.
    pub name: String,
    /// Hash of the file's content; none where it was never saved.
    pub hash: Option<String>,
    /// Version of Aberra that made it.
    pub aberra_version: String,
    /// The data set's name, without where it lies.
    pub made_from: String,
    /// The scorer that gives its scores.
    pub scorer: String,
    /// Every fitted scorer.
    pub scorers: Vec<ScorerCard>,
    /// How much each measurement counts in them, the heaviest first, where synthetic anomalies decided that; else empty.
    pub evidence_weights: Vec<EvidenceWeight>,
    /// Shape of a preprocessed image, of its pictures and its map: that of the network input, or of the canvas of several.
    pub input: Shape,
    /// What pictures of network inputs show, in words, where these have more channels than a picture; none where they have not.
    pub pictures_show: Option<String>,
    /// The grid of network inputs that an image becomes, where there are several.
    pub tiles: Option<TilesCard>,
    /// Its members, in order.
    pub members: Vec<MemberCard>,
    /// Weights of all members.
    pub parameters: usize,
    /// What it was fitted on; none in files older than the entry.
    pub device: Option<String>,
    /// Images and groups that it was trained on.
    pub train: PartSize,
    /// Those that fitted its scorers.
    pub fit: PartSize,
    /// Those that gave its threshold.
    pub calibration: PartSize,
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Scores of the calibration normals, ascending.
    pub calibration_scores: Vec<f64>,
    /// Values of the map above it are marked; none where no member makes a map.
    pub pixel_threshold: Option<f64>,
    /// What the threshold guarantees.
    pub promise: PromiseCard,
    /// How it judges volumes; none where it is not calibrated on any.
    pub volumes: Option<VolumesCard>,
    /// All settings, as TOML.
    pub settings_toml: String,
}

/// A scorer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ScorerCard {
    /// Its name.
    pub name: String,
    /// What it measures, in one line.
    pub about: String,
}

/// The network inputs, which overlap, of a large or long image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TilesCard {
    /// Rows of them.
    pub rows: usize,
    /// Columns of them.
    pub columns: usize,
    /// Side of each, in pixels.
    pub size_px: usize,
}

/// A member of a detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct MemberCard {
    /// Its name within the detector.
    pub name: String,
    /// Its family.
    pub family: String,
    /// The preset whose settings it has; none where they are its own.
    pub preset: Option<String>,
    /// What the operands of its products are rounded to, where its family has that setting.
    pub precision: Option<String>,
    /// Dimensions of its embedding space; none where it has none.
    pub embedding_dimensions: Option<usize>,
    /// Weights that fitting changed.
    pub parameters: usize,
    /// Epochs after which its weights were taken; 0 where its family does not train in epochs.
    pub best_epoch: usize,
    /// The standardised mean shift of the scorer when synthetic anomalies are drawn into held-out normals; none where it did
    /// not choose the weights.
    pub standardized_shift: Option<f64>,
}

/// What a threshold guarantees about false alarms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PromiseCard {
    /// In words.
    pub text: String,
    /// The largest share of false alarms, where one is guaranteed.
    pub false_alarm_rate: Option<f64>,
    /// With which confidence; none where it holds on average.
    pub confidence: Option<f64>,
}

/// How a detector judges volumes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct VolumesCard {
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Scores of the normal volumes that it was calibrated on, ascending.
    pub calibration_scores: Vec<f64>,
    /// The share of a volume's slices whose scores make its own.
    pub top_share: f64,
    /// What the threshold guarantees.
    pub promise: PromiseCard,
}

impl DetectorCard {
    /// The card of a detector that is called `name`.
    ///
    /// # Errors
    /// Settings that cannot be written.
    pub fn of(detector: &Detector, name: &str) -> Result<Self> {
        let (config, provenance, calibration) =
            (detector.config(), detector.provenance(), detector.calibration());
        Ok(Self {
            name: name.to_owned(),
            hash: detector.hash().map(str::to_owned),
            aberra_version: provenance.aberra_version.clone(),
            made_from: provenance.dataset.clone(),
            scorer: config.scorer.clone(),
            scorers: detector.fitted_scorers().iter().map(ScorerCard::of).collect(),
            evidence_weights: detector.scorer()?.weights(),
            input: detector.canvas_shape(),
            pictures_show: config.preprocessing.shown_in_words(),
            tiles: detector.tiling().map(TilesCard::of),
            members: members(detector),
            parameters: provenance.parameters(),
            device: provenance.device.clone(),
            train: provenance.train,
            fit: provenance.fit,
            calibration: provenance.calibration,
            threshold: calibration.threshold,
            calibration_scores: calibration.scores.clone(),
            pixel_threshold: detector.gives().map.then(|| detector.pixel_threshold()),
            promise: PromiseCard::of(calibration),
            volumes: detector.volume_calibration().map(VolumesCard::of),
            settings_toml: config.to_toml()?,
        })
    }
}

impl ScorerCard {
    fn of(scorer: &FittedScorer) -> Self {
        Self { name: scorer.name().to_owned(), about: scorer.about().to_owned() }
    }
}

fn members(detector: &Detector) -> Vec<MemberCard> {
    let settings = detector.config().members();
    let fitted = detector.members().iter().zip(&detector.provenance().members);
    fitted
        .zip(settings)
        .map(|((named, provenance), settings)| {
            let without_precision = |settings: &aberra_models::Settings| {
                let mut settings = settings.clone();
                settings.remove("precision");
                settings
            };
            let own = without_precision(&settings.settings);
            let mut presets = settings.family.presets().iter();
            let preset = presets.find(|preset| without_precision(&(preset.settings)()) == own);
            let precision = settings.settings.get("precision").and_then(|value| value.as_str());
            MemberCard {
                name: named.name.clone(),
                family: named.family.clone(),
                preset: preset.map(|preset| preset.name.to_owned()),
                precision: precision.map(str::to_owned),
                embedding_dimensions: named.member.reference().map(|reference| reference.dimensions()),
                parameters: provenance.parameters,
                best_epoch: provenance.best_epoch,
                standardized_shift: provenance.standardized_shift,
            }
        })
        .collect()
}

impl TilesCard {
    fn of(tiling: &Tiling) -> Self {
        let TileGrid { rows, columns, .. } = tiling.grid();
        Self { rows, columns, size_px: tiling.size_px() }
    }
}

impl PromiseCard {
    /// What a calibration's threshold guarantees.
    pub fn of(calibration: &Calibration) -> Self {
        let confidence = match calibration.criterion {
            Criterion::Conformal { confidence, .. } => confidence,
            _ => None,
        };
        let promise = &calibration.promise;
        Self { text: promise.to_string(), false_alarm_rate: promise.rate(), confidence }
    }
}

impl VolumesCard {
    /// The card of a calibration of volumes.
    pub fn of(volumes: &VolumeCalibration) -> Self {
        let calibration = &volumes.calibration;
        let promise = PromiseCard::of(calibration);
        Self {
            threshold: calibration.threshold,
            calibration_scores: calibration.scores.clone(),
            top_share: volumes.top_share,
            promise: PromiseCard { text: calibration.promise.of_volumes(), ..promise },
        }
    }
}
