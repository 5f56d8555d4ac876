//! What a detector gives for network inputs, in the parts that its model gives, too.

use aberra_metrics::Result;
use aberra_models::measure::Want;

use crate::Detector;
use crate::score::ScorerInput;

/// What a detector or a model gives for one image.
pub(super) struct Answer {
    pub(super) score: f64,
    pub(super) p_value: Option<f64>,
    pub(super) anomalous: bool,
    pub(super) map: Option<Vec<f32>>,
    pub(super) channel_maps: Option<Vec<f32>>,
    pub(super) reconstruction: Option<Vec<f32>>,
}

/// What the detector gives for network inputs, one answer each.
///
/// # Errors
/// It cannot measure one of them.
pub(super) fn answers(detector: &Detector, inputs: &[&[f32]]) -> Result<Vec<Answer>> {
    let scorer = detector.scorer()?;
    let calibration = detector.calibration();
    let measured = detector.members.measure(inputs, Want::ALL);
    let answers = measured.into_iter().map(|measured| {
        let measured = measured?;
        let (descriptors, map) = (detector.descriptors(), measured.map.as_deref());
        let score = scorer.score(&ScorerInput { descriptors, evidence: &measured.evidence, map });
        let reconstruction = measured.inferences.into_iter().find_map(|inference| inference.reconstruction);
        Ok(Answer {
            score,
            p_value: calibration.p_value(score),
            anomalous: calibration.is_anomalous(score),
            map: measured.map,
            channel_maps: measured.channel_maps,
            reconstruction,
        })
    });
    answers.collect()
}
