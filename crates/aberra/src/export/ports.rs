//! The names of a model's input and outputs, and what they are.

/// The input.
pub(super) const INPUT: &str = "input";

pub(super) const SCORE: &str = "score";
pub(super) const P_VALUE: &str = "p_value";
pub(super) const ANOMALOUS: &str = "anomalous";
pub(super) const MAP: &str = "map";
pub(super) const CHANNEL_MAPS: &str = "channel_maps";
pub(super) const RECONSTRUCTION: &str = "reconstruction";
pub(super) const EVIDENCE: &str = "evidence";

/// The outputs, in their order, and what they are.
pub(super) const OUTPUTS: [(&str, &str); 7] = [
    (SCORE, "how anomalous the image is, in the scorer's own units"),
    (P_VALUE, "share of normal images at least this anomalous, by the calibration scores"),
    (ANOMALOUS, "whether the score is above the threshold"),
    (MAP, "where the image is unusual, filtered as it is thresholded, at the size of the input"),
    (CHANNEL_MAPS, "where each channel is unusual, as the map, in the order of the channels"),
    (RECONSTRUCTION, "the reconstruction, 0 to 1, of the first member that gives one"),
    (EVIDENCE, "every measurement, in the order of the description"),
];
