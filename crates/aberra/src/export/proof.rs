//! The proof of an exported model: it is run by another runtime, `rten`, on images beside the detector itself.
//!
//! A model that differs by more than the tolerances is refused. Verdicts may differ where a score lies within the tolerance of
//! the threshold, and a p-value by the calibration scores that lie so near.

use aberra_metrics::calibrate::Calibration;
use aberra_metrics::{Error, Result};
use aberra_models::network::Precision;
use rten::{Model, ModelOptions, Value, op_registry};
use serde::Serialize;

use super::answer::{Answer, answers};
use super::ports::{ANOMALOUS, CHANNEL_MAPS, INPUT, MAP, OUTPUTS, P_VALUE, RECONSTRUCTION, SCORE};
use crate::Detector;
use crate::wire::DetectorCard;

/// Largest difference of a value of a map or a reconstruction, and of a score as a share of its size, or of the mean size of the
/// calibration scores where that is larger: some scorers' scores are around 0.
const TOLERANCE: f64 = 1e-4;

/// The same where operands of products are rounded to bfloat16. The graph rounds them, too, but sums in another order, and a sum
/// that lies between two such numbers then becomes the other one, a 256th of it away.
const BFLOAT16_TOLERANCE: f64 = 1e-2;

/// The runtime, for people.
const RUNTIME: &str = "rten 0.27";

/// How far an exported model agrees with its detector.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Proof {
    /// What ran the model.
    pub runtime: String,
    /// Images that it was run on.
    pub images: usize,
    /// Images that it was given at once.
    pub batches: Vec<usize>,
    /// Largest difference of a value of a map; none without maps.
    pub map_difference: Option<f64>,
    /// Largest difference of a value of a reconstruction, 0 to 1; none without reconstructions.
    pub reconstruction_difference: Option<f64>,
    /// Largest difference of a score, as a share of its size, or of the mean size of the calibration scores where that is larger.
    pub score_difference: f64,
    /// Verdicts that differ though the score is not within the tolerance of the threshold.
    pub verdicts: usize,
    /// p-values that differ by more than the calibration scores within the tolerance explain.
    pub p_values: usize,
    /// Largest of these differences that is accepted.
    pub tolerance: f64,
}

impl Proof {
    /// Runs the model of `file` on `inputs`, `[height, width, channels]` each, one alone and all at once.
    ///
    /// # Errors
    /// The runtime refuses the model, or it differs by more than the tolerances.
    pub(super) fn of(detector: &Detector, file: &[u8], inputs: &[&[f32]]) -> Result<Self> {
        let expected = answers(detector, inputs)?;
        let model = Runtime::load(file)?;
        let rounds = DetectorCard::of(detector, "")?
            .members
            .iter()
            .any(|member| member.precision.as_deref() == Some(Precision::Bf16.name()));
        let tolerance = if rounds { BFLOAT16_TOLERANCE } else { TOLERANCE };
        let mut proof = Self::empty(inputs.len(), tolerance);
        for batch in [&inputs[..1], inputs] {
            for (expected, found) in expected.iter().zip(model.run(detector, batch)?) {
                proof.compare(detector.calibration(), expected, &found);
            }
        }
        if proof.holds() { Ok(proof) } else { Err(proof.refusal()) }
    }

    fn empty(images: usize, tolerance: f64) -> Self {
        Self {
            runtime: RUNTIME.to_owned(),
            images,
            batches: vec![1, images],
            map_difference: None,
            reconstruction_difference: None,
            score_difference: 0.0,
            verdicts: 0,
            p_values: 0,
            tolerance,
        }
    }

    fn compare(&mut self, calibration: &Calibration, expected: &Answer, found: &Answer) {
        widen(&mut self.map_difference, expected.map.as_deref(), found.map.as_deref());
        widen(&mut self.map_difference, expected.channel_maps.as_deref(), found.channel_maps.as_deref());
        widen(
            &mut self.reconstruction_difference,
            expected.reconstruction.as_deref(),
            found.reconstruction.as_deref(),
        );
        let scores = &calibration.scores;
        let usual = scores.iter().map(|score| score.abs()).sum::<f64>() / scores.len().max(1) as f64;
        let size = expected.score.abs().max(usual).max(f64::MIN_POSITIVE);
        self.score_difference = larger(self.score_difference, (expected.score - found.score).abs() / size);
        let tolerance = self.tolerance;
        let near = |other: f64| (expected.score - other).abs() <= tolerance * size.max(other.abs());
        self.verdicts += usize::from(expected.anomalous != found.anomalous && !near(calibration.threshold));
        let as_near = scores.iter().filter(|score| near(**score)).count() as f64;
        let step = 1.0 / (scores.len() + 1) as f64;
        let p_values = expected.p_value.zip(found.p_value);
        self.p_values +=
            usize::from(p_values.is_some_and(|(a, b)| (a - b).abs() > as_near * step + TOLERANCE * step));
    }

    /// Whether the model agrees with its detector.
    pub fn holds(&self) -> bool {
        let values = [self.map_difference, self.reconstruction_difference];
        // A difference that is not a number is none that is small.
        values
            .into_iter()
            .flatten()
            .chain([self.score_difference])
            .all(|difference| difference <= self.tolerance)
            && self.verdicts + self.p_values == 0
    }

    fn refusal(&self) -> Error {
        Error::detector(format!(
            "expected a model that agrees with its detector within {:e}, found {self}",
            self.tolerance
        ))
        .with_hint(
            "nothing was written; where evidence hardly varies over the normals, as after few epochs, scores magnify rounding: \
             train longer, or choose another scorer",
        )
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |difference: Option<f64>| {
            difference.map_or_else(|| "none".to_owned(), |difference| format!("{difference:.1e}"))
        };
        write!(
            f,
            "largest differences on {} images by {}: map {}, reconstruction {}, score {:.1e}; {} verdicts and {} p-values differ",
            self.images,
            self.runtime,
            value(self.map_difference),
            value(self.reconstruction_difference),
            self.score_difference,
            self.verdicts,
            self.p_values
        )
    }
}

/// Takes in the largest difference of two lists, of which both or none are there.
fn widen(largest: &mut Option<f64>, expected: Option<&[f32]>, found: Option<&[f32]>) {
    let (expected, found) = match (expected, found) {
        (None, None) => return,
        (expected, found) => (expected.unwrap_or_default(), found.unwrap_or_default()),
    };
    let mut difference = if expected.len() == found.len() { 0.0 } else { f64::INFINITY };
    for (expected, found) in expected.iter().zip(found) {
        difference = larger(difference, f64::from((expected - found).abs()));
    }
    *largest = Some(larger(largest.unwrap_or(0.0), difference));
}

/// The larger of two, and one that is not a number rather than another.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// A model in the runtime that checks.
struct Runtime(Model);

impl Runtime {
    fn load(file: &[u8]) -> Result<Self> {
        // Those that a graph has, and no others, which would make the program larger.
        let operators = op_registry!(
            Abs,
            Add,
            ArgMin,
            Cast,
            Clip,
            Concat,
            Conv,
            ConvTranspose,
            Div,
            Exp,
            Floor,
            Gather,
            Greater,
            Identity,
            LeakyRelu,
            Log,
            MatMul,
            Max,
            Min,
            Mul,
            ReduceMean,
            ReduceSum,
            Relu,
            Reshape,
            Sigmoid,
            Slice,
            Sqrt,
            Sub,
            Tanh,
            TopK,
            Transpose,
            Where
        );
        let load = ModelOptions::with_ops(operators).load(file.to_vec());
        load.map(Self).map_err(|error| refused(&error))
    }

    fn run(&self, detector: &Detector, inputs: &[&[f32]]) -> Result<Vec<Answer>> {
        let (model, count, shape) = (&self.0, inputs.len(), detector.canvas_shape());
        let dims = [count, shape.height, shape.width, shape.channels];
        let input = Value::from_shape(dims, inputs.concat()).map_err(|error| refused(&error))?;
        let id = |name: &str| model.find_node(name);
        let ids = id(INPUT).ok_or_else(|| Error::detector("the model has no input"))?;
        let outputs: Vec<(&str, _)> =
            OUTPUTS.iter().filter_map(|(name, _)| Some((*name, id(name)?))).collect();
        let wanted: Vec<_> = outputs.iter().map(|(_, id)| *id).collect();
        let values = model.run(vec![(ids, input.into())], &wanted, None).map_err(|error| refused(&error))?;
        let mut rows: Vec<Answer> = (0..count)
            .map(|_| Answer {
                score: f64::NAN,
                p_value: None,
                anomalous: false,
                map: None,
                channel_maps: None,
                reconstruction: None,
            })
            .collect();
        for ((name, _), value) in outputs.into_iter().zip(values) {
            if name == ANOMALOUS {
                let flags = value.into_tensor::<i32>().map(|tensor| tensor.into_data()).unwrap_or_default();
                rows.iter_mut().zip(flags).for_each(|(row, flag)| row.anomalous = flag != 0);
                continue;
            }
            let values = value.into_tensor::<f32>().map(|tensor| tensor.into_data()).unwrap_or_default();
            for (row, own) in rows.iter_mut().zip(values.chunks(values.len().div_ceil(count).max(1))) {
                match name {
                    SCORE => row.score = f64::from(own[0]),
                    P_VALUE => row.p_value = Some(f64::from(own[0])),
                    CHANNEL_MAPS => row.channel_maps = Some(own.to_vec()),
                    MAP => row.map = Some(own.to_vec()),
                    RECONSTRUCTION => row.reconstruction = Some(own.to_vec()),
                    _ => {}
                }
            }
        }
        Ok(rows)
    }
}

fn refused(error: &dyn std::fmt::Display) -> Error {
    Error::detector(format!("the runtime that checks the model refuses it: {error}"))
}

#[cfg(test)]
mod tests {
    use aberra_metrics::calibrate::Criterion;

    use super::*;

    fn answer(score: f64) -> Answer {
        let calibration = calibration();
        Answer {
            score,
            p_value: calibration.p_value(score),
            anomalous: calibration.is_anomalous(score),
            map: Some(vec![0.5, 3.0]),
            channel_maps: None,
            reconstruction: None,
        }
    }

    /// Scores of 1 to 19; the threshold is 18.
    fn calibration() -> Calibration {
        let scores: Vec<f64> = (1..20).map(f64::from).collect();
        Calibration::new(&scores, None, Criterion::at_rate(0.1)).unwrap()
    }

    fn compared(expected: &Answer, found: &Answer) -> Proof {
        let mut proof = Proof::empty(1, TOLERANCE);
        proof.compare(&calibration(), expected, found);
        proof
    }

    #[test]
    fn rounding_is_agreement_also_beside_the_threshold() {
        assert!(compared(&answer(4.2), &answer(4.2001)).holds());
        let proof = compared(&answer(18.0), &answer(18.001));
        assert!(proof.holds() && proof.score_difference > 5e-5, "{proof}");
    }

    #[test]
    fn every_kind_of_difference_is_refused() {
        let usual = || answer(4.2);
        let others = [
            answer(4.21),
            answer(f64::NAN),
            Answer { anomalous: true, ..usual() },
            Answer { p_value: Some(0.5), ..usual() },
            Answer { map: Some(vec![0.5, 3.001]), ..usual() },
            Answer { map: Some(vec![0.5]), ..usual() },
            Answer { map: None, ..usual() },
            Answer { channel_maps: Some(vec![0.5]), ..usual() },
            Answer { reconstruction: Some(vec![0.0]), ..usual() },
        ];
        for (number, other) in others.iter().enumerate() {
            let proof = compared(&usual(), other);
            assert!(!proof.holds(), "{number}: {proof}");
            assert!(proof.refusal().to_string().contains("expected a model that agrees"));
        }
    }
}
