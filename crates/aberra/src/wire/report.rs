//! What a report holds. The page's side of it is `web/src/report/data.ts`; a test below compares the two.
//!
//! Scores and thresholds keep every digit, since a verdict may hang on the last; other numbers keep five or six.

use std::collections::BTreeMap;

use aberra_image::Region;
use aberra_models::measure::Descriptor;
use aberra_models::train::{LossRecord, SelectionCriterion};
use serde::Serialize;

use super::DetectorCard;
use crate::detector::PartSize;
use crate::evaluate::Metric;

/// The version of this layout.
pub const VERSION: u32 = 3;

/// A point estimate with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Everything a report shows. Scores are raw: in the scorer's units, never clamped or rescaled.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReportData {
    /// The version of this layout.
    pub version: u32,
    /// Version of Aberra.
    pub aberra_version: String,
    /// Seconds since 1970; none in tests.
    pub made_at_secs: Option<u64>,
    /// The results in words, a short paragraph each.
    pub summary: Vec<String>,
    /// What a reader must know before believing the numbers, in plain words.
    pub warnings: Vec<String>,
    /// The detector that the report is about.
    pub detector: DetectorCard,
    /// The descriptors of the measurements, in order.
    pub measurements: Vec<Descriptor>,
    /// The metrics.
    pub evaluation: EvaluationData,
    /// How each member was trained that trains in epochs.
    pub training: Metric<Vec<TrainingData>>,
    /// One entry per scored image, in the order of the data set.
    pub images: Vec<ImageData>,
    /// Scored images of the test set.
    pub images_in_all: usize,
    /// The volumes whose slices are images; empty where the data are not taken apart by volume.
    pub volumes: Vec<VolumeData>,
    /// The thumbnails of test images and of normals.
    pub thumbnails: Option<Thumbnails>,
    /// The embedding space that is shown.
    pub latent: Metric<LatentData>,
    /// Scorers and detectors side by side.
    pub compare: CompareData,
    /// Values of the map above it are marked.
    pub pixel_threshold: f64,
    /// The map value that is white in the pictures of maps: an 8-bit grey value g stands for g / 255 * error_scale_max.
    /// The colour scale is anchored at the pixel threshold, in its middle, and ends at twice that.
    pub error_scale_max: f64,
}

/// One JPEG of all thumbnails.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Thumbnails {
    /// The JPEG as a `data:` address: thumbnail `n` lies at column n % columns.
    pub sheet: String,
    /// Side of each.
    pub side_px: usize,
    /// Thumbnails in a row.
    pub columns: usize,
}

/// The metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct EvaluationData {
    /// The data set's name, without where it lies.
    pub data_name: String,
    /// How well anomalies are separated from normals, over all that were scored.
    #[serde(flatten)]
    pub figures: DetectionFigures,
    /// Images that could not be read or used.
    pub unusable: usize,
    /// Images left out because the detector was made from them.
    pub left_out_own: usize,
    /// Slices left out because the detector was made from others of their volumes.
    pub left_out_beside_own: usize,
    /// Slices of anomalous volumes whose masks mark nothing: they are in the figures of volumes and of pixels alone.
    pub left_out_unmarked: usize,
    /// Images of the data set that the split puts into no part: neither learnt from nor tested on. None without a split.
    pub left_aside: Option<usize>,
    /// Scored images that are near-duplicates of the detector's own normals.
    pub leaked: crate::evaluate::Leaked,
    /// How the intervals were drawn.
    pub bootstrap: BootstrapData,
    /// What the images' files and frames alone give away; a high AUROC is a warning.
    pub shortcuts: Vec<ShortcutData>,
    /// How well the maps find the masks.
    pub pixels: Metric<PixelData>,
    /// How well anomalous volumes are separated from normal ones, each judged as a whole; none where the data are not taken apart by
    /// volume.
    pub volumes: Option<VolumesData>,
    /// The figures of detection without near-duplicates of the detector's own normals; none where there are none.
    pub without_leaked: Option<DetectionFigures>,
}

/// How well anomalies are separated from normals: over all scored images, or over those that are no near-duplicates of the
/// detector's own normals.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DetectionFigures {
    /// Normal images that count.
    pub normals: PartSize,
    /// Anomalous images that count.
    pub anomalies: PartSize,
    /// Area under the ROC curve.
    pub auroc: Metric<Interval>,
    /// Average precision.
    pub average_precision: Metric<Interval>,
    /// What random scores would give as average precision: the share of anomalous images, by weight.
    pub average_precision_of_chance: Metric<f64>,
    /// Share of normals above the detector's threshold, over one image of each group: a seeded random member.
    pub realised_false_alarm_rate: Metric<Interval>,
    /// Share of anomalous images above the detector's threshold, each image counted with its `weight` among those that
    /// count.
    pub recall: Metric<Interval>,
    /// Each kind of anomaly against all normals.
    pub kinds: Vec<KindData>,
    /// The ROC curve; empty if a class is missing.
    pub roc: RocData,
    /// The precision-recall curve; empty if a class is missing.
    pub pr: PrecisionRecallData,
}

/// How intervals were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct BootstrapData {
    /// Resamples.
    pub draws: u32,
    /// Confidence level.
    pub level: f64,
}

/// One kind of anomaly.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct KindData {
    /// The kind.
    pub kind: String,
    /// Its scored images.
    pub images: usize,
    /// Groups that they are from.
    pub groups: usize,
    /// Images above the detector's threshold.
    pub flagged: usize,
    /// Area under the ROC curve.
    pub auroc: Metric<Interval>,
    /// Average precision.
    pub average_precision: Metric<Interval>,
    /// Share of its images above the threshold, each group counted once.
    pub recall: Metric<f64>,
}

/// What one property of file or frame gives away.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ShortcutData {
    /// The property, and the value it was compared with where it is one of several.
    pub name: String,
    /// Area under the ROC curve in the better direction, 0.5 to 1.
    pub auroc: f64,
}

/// How well the maps find the masks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PixelData {
    /// Area under the pixels' ROC curve.
    pub auroc: Metric<f64>,
    /// Average precision of the pixels.
    pub average_precision: Metric<f64>,
    /// What random maps would give as average precision: the share of anomalous pixels among those that count.
    pub average_precision_of_chance: f64,
    /// Area under the per-region overlap curve up to 30 % false positives.
    pub pro: Metric<f64>,
    /// Dice at the detector's pixel threshold.
    pub dice_at_threshold: Metric<f64>,
    /// Their intervals, over resampled groups of images; null where they cannot be computed.
    pub intervals: Option<PixelIntervalData>,
    /// Anomalous images with a mask.
    pub images_with_mask: usize,
}

/// The ends, low and high, of the intervals of [`PixelData`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PixelIntervalData {
    /// Of the area under the pixels' ROC curve.
    pub auroc: [f64; 2],
    /// Of the average precision of the pixels.
    pub average_precision: [f64; 2],
    /// Of the area under the per-region overlap curve.
    pub pro: [f64; 2],
    /// Of Dice at the pixel threshold.
    pub dice_at_threshold: [f64; 2],
}

/// The ROC curve with its band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct RocData {
    /// False-positive rates, ascending.
    pub fpr: Vec<f64>,
    /// True-positive rate at each.
    pub tpr: Vec<f64>,
    /// Lower end of its pointwise interval.
    pub tpr_low: Vec<f64>,
    /// Upper end.
    pub tpr_high: Vec<f64>,
}

/// The precision-recall curve with its band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PrecisionRecallData {
    /// Recalls, ascending.
    pub recall: Vec<f64>,
    /// Precision at each.
    pub precision: Vec<f64>,
    /// Lower end of its pointwise interval.
    pub precision_low: Vec<f64>,
    /// Upper end.
    pub precision_high: Vec<f64>,
}

/// How training went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TrainingData {
    /// The member that was trained.
    pub member: String,
    /// Its epochs, in order.
    pub epochs: Vec<EpochData>,
    /// The epoch after which the weights were taken.
    pub best_epoch: usize,
    /// What chose that epoch.
    pub criterion: SelectionCriterion,
    /// Reconstructions as they improve.
    pub snapshots: SnapshotsData,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct EpochData {
    /// Its number, from 1.
    pub epoch: usize,
    /// Mean loss over the training images.
    pub train: LossRecord,
    /// Mean loss over the held-out normals.
    pub held_out: LossRecord,
    /// The learning rate at its end.
    pub learning_rate: f64,
    /// What the family tracks besides its loss, by name.
    pub figures: BTreeMap<String, f64>,
    /// The standardised mean shift of the scorer when synthetic anomalies are drawn into held-out normals, in the epochs that
    /// measured it.
    pub standardized_shift: Option<f64>,
    /// Whether its weights are the best so far.
    pub best: bool,
    /// Training images per second, where time was taken.
    pub images_per_s: Option<f64>,
}

/// Reconstructions as they improve.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SnapshotsData {
    /// The same fixed held-out images for every epoch, as `data:` addresses.
    pub inputs: Vec<String>,
    /// The epochs that were saved.
    pub epochs: Vec<SnapshotData>,
}

/// The reconstructions after one epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SnapshotData {
    /// Its number.
    pub epoch: usize,
    /// One for each of the inputs, in their order.
    pub reconstructions: Vec<String>,
}

/// One image of the test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ImageData {
    /// Position in the test set, its address within the report.
    pub id: usize,
    /// Path relative to the data set's root.
    pub name: String,
    /// The kind of anomaly; none for a normal image.
    pub kind: Option<String>,
    /// Its group's number.
    pub group: usize,
    /// How much it counts in rates, above 0 and at most 1: one over the images of its group that are of its class
    /// (normal or anomalous), so that each group counts once in each class. 0 for a slice of an anomalous volume whose mask marks
    /// nothing: it is in no figure of images.
    pub weight: f64,
    /// The image's own width, in pixels.
    pub width: usize,
    /// The image's own height, in pixels.
    pub height: usize,
    /// Millimetres from row to row and from column to column, where the file says (DICOM, NIfTI).
    pub spacing_mm: Option<[f32; 2]>,
    /// How anomalous it is, in the scorer's own units.
    pub score: f64,
    /// Share of normal images at least this anomalous, by the calibration; none where the detector has no scores of
    /// any.
    pub p_value: Option<f64>,
    /// Whether the score lies above the threshold.
    pub anomalous: bool,
    /// Whether it is a near-duplicate of one of the detector's own normals.
    pub leaked: bool,
    /// Share of its pixels above the pixel threshold, 0 to 1; none where the detector makes no maps.
    pub anomalous_share: Option<f64>,
    /// What was measured, by full name. Empty, like the two below, for images without a thumbnail where there are very
    /// many images.
    pub evidence: BTreeMap<String, f64>,
    /// Each measurement's percentile, 0 to 100, among the calibration normals.
    pub evidence_percentiles: BTreeMap<String, f64>,
    /// The score of every fitted scorer, by name.
    pub scores: BTreeMap<String, f64>,
    /// Number on the thumbnails' sheet; none where it was left out.
    pub thumbnail: Option<usize>,
    /// Coordinates on the principal components, as many as `latent.components`; empty if there is no embedding
    /// space.
    pub pca: Vec<f64>,
    /// The nearest training normals in the embedding space, nearest first; empty for images without `pictures`.
    pub nearest: Vec<NearData>,
    /// Pictures at the network input's size; none beyond those shown in full, and the slices of volumes that are shown.
    pub pictures: Option<PicturesData>,
    /// The pixels of the network input that show the image; none for images without `pictures`.
    pub window: Option<Region>,
    /// The part of the image that they show, in its own pixels; none for images without `pictures`.
    pub content: Option<Region>,
}

/// A training normal near an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NearData {
    /// In the embedding space, each dimension in standard deviations of the training normals.
    pub distance: f64,
    /// Number on the thumbnails' sheet, after those of the test images; none where the normal is not in the data set.
    pub thumbnail: Option<usize>,
    /// Its name in the data set, where that is known.
    pub name: Option<String>,
}

/// Pictures of an image at the network input's size, as `data:` addresses.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PicturesData {
    /// The network input.
    pub input: String,
    /// Its reconstruction, where a member gives one.
    pub reconstruction: Option<String>,
    /// The map in 8-bit grey: a value g stands for g / 255 * error_scale_max; none where no member makes one.
    pub error: Option<String>,
    /// Outline of the true mask at the network input's size, as an SVG path in pixels; none without a mask.
    pub mask_path: Option<String>,
}

/// The embedding space that is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct LatentData {
    /// Share of the variance of the training normals on each of their principal components, at most 10, greatest first.
    pub explained: Vec<f64>,
    /// Components on which points have coordinates.
    pub components: usize,
    /// Calibration normals on the components, `[normals][components]`; a sample where there are many.
    pub calibration: Vec<Vec<f64>>,
    /// Where the calibration normals lie on the first two components; none where there are fewer.
    pub ellipse: Option<EllipseData>,
    /// Mean KL divergence of each dimension over the calibration normals, nats; empty if the embedding is no
    /// distribution, or the detector was made before it was kept.
    pub kl_per_dimension: Vec<f64>,
    /// Images decoded along directions through the mean of the training normals; empty if nothing decodes points.
    pub traversals: Vec<TraversalData>,
    /// Images decoded from draws from the prior, as `data:` addresses; empty if there is none.
    pub prior_samples: Vec<String>,
}

/// Where the calibration normals lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct EllipseData {
    /// Mean on the first two components.
    pub mean: [f64; 2],
    /// Their covariance.
    pub covariance: [[f64; 2]; 2],
    /// The ellipse covers 95 % of a normal distribution like that: (x - mean)' covariance^-1 (x - mean) <= chi_square.
    pub chi_square: f64,
}

/// Images decoded along a direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct TraversalData {
    /// The direction.
    pub name: String,
    /// From the mean, in standard deviations of the training normals.
    pub positions: Vec<f64>,
    /// The image decoded at each position, as a `data:` address.
    pub pictures: Vec<String>,
}

/// A volume of a report's test set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct VolumeData {
    /// The file, or the folder of the series, relative to the data set's root.
    pub name: String,
    /// The kind of its anomaly; none for a normal volume.
    pub kind: Option<String>,
    /// Its group's number.
    pub group: usize,
    /// Whether one of its slices is a near-duplicate of one of the detector's own normals.
    pub leaked: bool,
    /// The mean of the largest scores of its slices.
    pub score: f64,
    /// Share of normal volumes at least this anomalous; none from a detector that is not calibrated on volumes.
    pub p_value: Option<f64>,
    /// Whether the score lies above the threshold of volumes; none without one.
    pub anomalous: Option<bool>,
    /// Slices whose scores make that of the volume.
    pub top: usize,
    /// The slice with the largest score, from 1.
    pub worst: usize,
    /// For each of its slices, in their order, its `id` among the images; none where it shows nothing but air or was not read.
    pub slices: Vec<Option<usize>>,
    /// Millimetres from slice to slice, where its files say and they are evenly spaced (DICOM, NIfTI).
    pub slice_spacing_mm: Option<f32>,
}

/// How well anomalous volumes are separated from normal ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct VolumesData {
    /// Volumes that show no anomaly.
    pub normals: usize,
    /// Volumes that show one.
    pub anomalies: usize,
    /// Area under the ROC curve.
    pub auroc: Metric<Interval>,
    /// Average precision.
    pub average_precision: Metric<Interval>,
    /// What random scores would give as average precision.
    pub average_precision_of_chance: Metric<f64>,
    /// Share of anomalous volumes above the threshold.
    pub recall: Metric<Interval>,
    /// Share of normal volumes above it, over one of each group.
    pub realised_false_alarm_rate: Metric<Interval>,
    /// Volumes left out because the detector was made from slices of theirs.
    pub left_out_own: usize,
    /// Volumes of which no slice could be read.
    pub unusable: usize,
}

/// Scorers and detectors side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CompareData {
    /// What to know about the images that are compared on, in plain words; none where they are all of the report's.
    pub note: Option<String>,
    /// What random scores would give as average precision on these images.
    pub average_precision_of_chance: Metric<f64>,
    /// The detector's scorers, then other detectors on the same images.
    pub rows: Vec<CompareRow>,
}

/// One scorer or detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CompareRow {
    /// Its name.
    pub name: String,
    /// Whether it is a scorer or a detector.
    pub what: Compared,
    /// Area under the ROC curve.
    pub auroc: Metric<Interval>,
    /// Average precision.
    pub average_precision: Metric<Interval>,
    /// True-positive rate at 5 % false positives.
    pub recall_at_5_fpr: Metric<f64>,
    /// AUROC minus that of the report's detector and scorer, by a paired bootstrap over groups; none for itself.
    pub difference: Option<Metric<Interval>>,
    /// The ROC curve.
    pub roc: PlainRoc,
}

/// What a row of Compare is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Compared {
    /// Another scorer of the report's detector, or its own.
    Scorer,
    /// Another detector.
    Detector,
}

/// A ROC curve without a band.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlainRoc {
    /// False-positive rates, ascending.
    pub fpr: Vec<f64>,
    /// True-positive rate at each.
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

    /// The description from which the page's types, re-exported by `web/src/report/data.ts`, are generated.
    const DESCRIPTION: &str = include_str!("../../../../web/src/api/openapi.json");
    const READER: &str = include_str!("../../../../web/src/report/read.ts");

    /// Follows a reference.
    fn resolved<'a>(schemas: &'a Value, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(name) => &schemas[name],
            None => schema,
        }
    }

    /// What in `value` is not as described, by its place. Objects have the very fields that are described.
    fn differences(schemas: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        let schema = resolved(schemas, schema);
        if let Some(alternatives) = schema["oneOf"].as_array() {
            let found = alternatives.iter().map(|one| differences(schemas, one, value, place));
            return found.min_by_key(Vec::len).unwrap_or_default();
        }
        let types = match &schema["type"] {
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        };
        let fits = types.is_empty()
            || types.iter().any(|expected| match *expected {
                "null" => value.is_null(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "string" => value.is_string(),
                "array" => value.is_array(),
                _ => value.is_object(),
            });
        if !fits {
            return vec![format!("{place}: expected {types:?}, found {value:.60}")];
        }
        if let Some(items) = value.as_array() {
            let each = items.iter().enumerate();
            let within = |(at, item)| differences(schemas, &schema["items"], item, &format!("{place}/{at}"));
            return each.flat_map(within).collect();
        }
        let Some(fields) = value.as_object() else { return Vec::new() };
        let Some(described) = schema["properties"].as_object() else {
            // A map: every value is described alike.
            let each = |(name, value)| {
                differences(schemas, &schema["additionalProperties"], value, &format!("{place}/{name}"))
            };
            return fields.iter().flat_map(each).collect();
        };
        let names: BTreeSet<&String> = described.keys().chain(fields.keys()).collect();
        let field = |name: &String| match (described.get(name), fields.get(name)) {
            (Some(schema), Some(value)) => differences(schemas, schema, value, &format!("{place}/{name}")),
            (None, _) => vec![format!("{place}/{name}: not described")],
            _ => vec![format!("{place}/{name}: described, and missing")],
        };
        names.into_iter().flat_map(field).collect()
    }

    fn differences_of(report: &Value) -> Vec<String> {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let schemas = &description["components"]["schemas"];
        assert!(schemas["ReportData"]["properties"].is_object());
        differences(schemas, &schemas["ReportData"], report, "")
    }

    #[test]
    fn the_layout_is_the_one_from_which_the_pages_types_are_generated() {
        let json = serde_json::to_value(crate::report::example::report()).unwrap();
        assert_eq!(differences_of(&json), Vec::<String>::new());
        assert!(READER.contains(&format!("const VERSION = {VERSION};")));
    }

    #[test]
    fn a_layout_that_differs_is_found() {
        let mut json = serde_json::to_value(crate::report::example::report()).unwrap();
        json["detector"]["members"][0]["latent"] = 2.into();
        json["training"][0]["epochs"][0]["figures"]["beta"] = "1".into();
        json["images"][1]["pictures"].as_object_mut().unwrap().remove("error");
        let found = differences_of(&json);
        let places = ["/detector/members/0/latent", "/images/1/pictures", "/training"];
        assert_eq!(found.len(), places.len(), "{found:?}");
        for (place, found) in places.iter().zip(found) {
            assert!(found.starts_with(place), "{place} {found}");
        }
    }

    #[test]
    fn digits_that_count_stay() {
        assert_eq!(short(0.000_123_456_789), 0.000_123_46);
        assert_eq!([short(0.0), short(-98_765_432.1), short(100.0)], [0.0, -98_765_000.0, 100.0]);
    }
}
