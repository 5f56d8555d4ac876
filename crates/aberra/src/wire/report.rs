//! What a report holds: the Rust side of `web/src/report/data.ts`, where every field is explained. A test below compares
//! the two.
//!
//! Scores and thresholds keep every digit, since a verdict may hang on the last; other numbers keep five or six.

use std::collections::BTreeMap;

use aberra_models::measure::Descriptor;
use aberra_models::train::LossRecord;
use serde::Serialize;

use super::DetectorCard;
use crate::detector::PartSize;
use crate::evaluate::Metric;

/// The version of this layout.
pub const VERSION: u32 = 2;

/// A point estimate with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts, as all of this file's fields")]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Everything a report shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct ReportData {
    pub version: u32,
    pub aberra_version: String,
    pub made_at_secs: Option<u64>,
    pub summary: Vec<String>,
    pub warnings: Vec<String>,
    pub detector: DetectorCard,
    pub measurements: Vec<Descriptor>,
    pub evaluation: EvaluationData,
    pub training: Metric<Vec<TrainingData>>,
    pub images: Vec<ImageData>,
    pub images_in_all: usize,
    pub thumbnails: Option<Thumbnails>,
    pub latent: Metric<LatentData>,
    pub compare: CompareData,
    pub pixel_threshold: f64,
    pub error_scale_max: f64,
}

/// One JPEG of all thumbnails.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct Thumbnails {
    pub sheet: String,
    pub side_px: usize,
    pub columns: usize,
}

/// The metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct EvaluationData {
    pub data_name: String,
    pub normals: PartSize,
    pub anomalies: PartSize,
    pub unusable: usize,
    pub left_out_own: usize,
    pub leaked: crate::evaluate::Leaked,
    pub bootstrap: BootstrapData,
    pub auroc: Metric<Interval>,
    pub average_precision: Metric<Interval>,
    pub auroc_without_leaked: Option<Metric<Interval>>,
    pub realised_false_alarm_rate: Metric<Interval>,
    pub recall: Metric<Interval>,
    pub kinds: Vec<KindData>,
    pub shortcuts: Vec<ShortcutData>,
    pub pixels: Metric<PixelData>,
    pub roc: RocData,
    pub pr: PrecisionRecallData,
}

/// How intervals were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct BootstrapData {
    pub draws: u32,
    pub level: f64,
}

/// One kind of anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct KindData {
    pub kind: String,
    pub images: usize,
    pub groups: usize,
    pub flagged: usize,
    pub auroc: Metric<Interval>,
    pub average_precision: Metric<Interval>,
    pub recall: Metric<f64>,
}

/// What one property of file or frame gives away.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct ShortcutData {
    pub name: String,
    pub auroc: f64,
}

/// How well error maps find masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct PixelData {
    pub auroc: Metric<f64>,
    pub average_precision: Metric<f64>,
    pub pro: Metric<f64>,
    pub dice_at_threshold: Metric<f64>,
    pub images_with_mask: usize,
}

/// The ROC curve with its band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct RocData {
    pub fpr: Vec<f64>,
    pub tpr: Vec<f64>,
    pub tpr_low: Vec<f64>,
    pub tpr_high: Vec<f64>,
}

/// The precision-recall curve with its band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct PrecisionRecallData {
    pub recall: Vec<f64>,
    pub precision: Vec<f64>,
    pub precision_low: Vec<f64>,
    pub precision_high: Vec<f64>,
}

/// How training went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct TrainingData {
    pub member: String,
    pub epochs: Vec<EpochData>,
    pub best_epoch: usize,
    pub snapshots: SnapshotsData,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct EpochData {
    pub epoch: usize,
    pub train: LossRecord,
    pub held_out: LossRecord,
    pub learning_rate: f64,
    pub figures: BTreeMap<String, f64>,
    pub best: bool,
    pub images_per_s: Option<f64>,
}

/// Reconstructions as they improve.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct SnapshotsData {
    pub inputs: Vec<String>,
    pub epochs: Vec<SnapshotData>,
}

/// The reconstructions after one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct SnapshotData {
    pub epoch: usize,
    pub reconstructions: Vec<String>,
}

/// One image of the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct ImageData {
    pub id: usize,
    pub name: String,
    pub kind: Option<String>,
    pub group: usize,
    pub width: usize,
    pub height: usize,
    pub score: f64,
    pub p_value: Option<f64>,
    pub anomalous: bool,
    pub leaked: bool,
    pub anomalous_share: f64,
    pub evidence: BTreeMap<String, f64>,
    pub evidence_percentiles: BTreeMap<String, f64>,
    pub scores: BTreeMap<String, f64>,
    pub thumbnail: Option<usize>,
    pub pca: Vec<f64>,
    pub nearest: Vec<NearData>,
    pub pictures: Option<PicturesData>,
}

/// A training normal near an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct NearData {
    pub distance: f64,
    pub thumbnail: Option<usize>,
    pub name: Option<String>,
}

/// An image's full triple.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct PicturesData {
    pub input: String,
    pub reconstruction: Option<String>,
    pub error: String,
    pub mask_path: Option<String>,
}

/// The latent space.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct LatentData {
    pub explained: Vec<f64>,
    pub components: usize,
    pub calibration: Vec<Vec<f64>>,
    pub ellipse: Option<EllipseData>,
    pub kl_per_dimension: Vec<f64>,
    pub traversals: Vec<TraversalData>,
    pub prior_samples: Vec<String>,
}

/// Where the calibration normals lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct EllipseData {
    pub mean: [f64; 2],
    pub covariance: [[f64; 2]; 2],
    pub chi_square: f64,
}

/// Images decoded along a direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct TraversalData {
    pub name: String,
    pub positions: Vec<f64>,
    pub pictures: Vec<String>,
}

/// Scorers and detectors side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct CompareData {
    pub note: Option<String>,
    pub rows: Vec<CompareRow>,
}

/// One scorer or detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct CompareRow {
    pub name: String,
    pub what: Compared,
    pub auroc: Metric<Interval>,
    pub average_precision: Metric<Interval>,
    pub recall_at_5_fpr: Metric<f64>,
    pub difference: Option<Metric<Interval>>,
    pub roc: PlainRoc,
}

/// What a row of Compare is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// Another scorer of the report's detector, or its own.
    Scorer,
    /// Another detector.
    Detector,
}

/// A ROC curve without a band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "explained in data.ts")]
pub struct PlainRoc {
    pub fpr: Vec<f64>,
    pub tpr: Vec<f64>,
}

/// A number with `digits` digits that count, so that a report stays small.
pub(crate) fn digits(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

/// Five digits: enough for a chart.
pub(crate) fn short(value: f64) -> f64 {
    digits(value, 5)
}

/// Numbers for a chart.
pub(crate) fn shorts(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    values.into_iter().map(short).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const CONTRACT: &str = include_str!("../../../../web/src/report/data.ts");

    /// The fields of an interface of the contract, without those of objects within it.
    fn fields(interface: &str) -> BTreeSet<String> {
        let start = CONTRACT.find(&format!("export interface {interface} {{")).expect(interface);
        let body = &CONTRACT[start..];
        let body = &body[body.find('{').unwrap() + 1..body.find("\n}").unwrap()];
        let (mut depth, mut names) = (0, BTreeSet::new());
        let without_comments: String = body
            .lines()
            .filter(|line| !line.trim_start().starts_with(['/', '*']))
            .collect::<Vec<_>>()
            .join("\n");
        for piece in without_comments.split([';', '\n']) {
            let name = piece.trim_start().split_once(':').map(|(name, _)| name);
            if let (0, Some(name)) = (depth, name.filter(|name| !name.contains(['{', ' ', '/']))) {
                names.insert(name.to_owned());
            }
            depth += piece.matches('{').count() as i32 - piece.matches('}').count() as i32;
        }
        names
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    }

    #[test]
    fn the_layout_is_the_contracts() {
        let report = crate::report::example::report();
        let json = serde_json::to_value(&report).unwrap();
        for (interface, pointer) in [
            ("ReportData", ""),
            ("DetectorCard", "/detector"),
            ("PartSize", "/detector/train"),
            ("EvaluationData", "/evaluation"),
            ("Interval", "/evaluation/auroc"),
            ("TrainingData", "/training/0"),
            ("ImageData", "/images/0"),
            ("LatentData", "/latent"),
            ("CompareData", "/compare"),
        ] {
            let found = json.pointer(pointer).unwrap();
            assert_eq!(keys(found), fields(interface), "{interface}");
        }
        // Objects without a name of their own: their fields stand in the contract as `name:`.
        for pointer in [
            "/thumbnails",
            "/detector/promise",
            "/detector/members/0",
            "/evaluation/bootstrap",
            "/evaluation/leaked",
            "/evaluation/kinds/0",
            "/evaluation/shortcuts/0",
            "/evaluation/pixels",
            "/evaluation/roc",
            "/evaluation/pr",
            "/training/0/epochs/0",
            "/training/0/snapshots",
            "/training/0/snapshots/epochs/0",
            "/images/0/nearest/0",
            "/images/0/pictures",
            "/latent/ellipse",
            "/latent/traversals/0",
            "/compare/rows/0",
            "/compare/rows/0/roc",
        ] {
            for key in keys(json.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"))) {
                assert!(CONTRACT.contains(&format!("{key}:")), "{pointer}/{key}");
            }
        }
        assert!(CONTRACT.contains(&format!("version: {VERSION};")));
    }

    #[test]
    fn digits_that_count_stay() {
        assert_eq!(short(0.000_123_456_789), 0.000_123_46);
        assert_eq!([short(0.0), short(-98_765_432.1), short(100.0)], [0.0, -98_765_000.0, 100.0]);
    }
}
