//! Inference from input tensors to output tensors, for both transports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use aberra::Verdict;
use aberra::calibrate::is_anomalous;
use aberra::explain::anomalous_share;
use aberra::image::Image;
use aberra::models::measure::Want;

use super::model::{IMAGE, Output, PIXELS};
use super::tensors::{Tensor, Values};
use crate::detectors::ServedDetector;
use crate::engine::ImageSource;
use crate::options::ServeLimits;
use crate::problem::oip::unsupported;
use crate::problem::{ImageProblem, Problem};
use crate::state::ServerState;

/// A parsed inference request.
#[derive(Debug)]
pub(super) struct InferRequest {
    pub(super) inputs: Vec<Tensor>,
    /// The requested outputs, in order.
    pub(super) outputs: Vec<Output>,
    /// Threshold to use instead of the detector's own.
    pub(super) threshold: Option<f64>,
}

/// The value of a parameter of a request or a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parameter {
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

/// Parameters by name. Unknown ones are ignored, as the protocol requires.
pub(super) type Parameters = BTreeMap<String, Parameter>;

/// The threshold parameter of a request.
///
/// # Errors
/// It is not a finite number.
pub(super) fn threshold(parameters: &Parameters) -> Result<Option<f64>, Problem> {
    match parameters.get("threshold") {
        None => Ok(None),
        Some(Parameter::Integer(value)) => Ok(Some(*value as f64)),
        Some(Parameter::Number(value)) if value.is_finite() => Ok(Some(*value)),
        Some(other) => {
            Err(Problem::bad_request(format!("threshold: expected a finite number, found {other:?}")))
        }
    }
}

/// Rejects tensors in shared memory.
pub(super) fn check_is_sent(parameters: &Parameters) -> Result<(), Problem> {
    match parameters.contains_key("shared_memory_region") {
        true => Err(unsupported("shared memory")),
        false => Ok(()),
    }
}

/// A requested output, of those that a detector has.
///
/// # Errors
/// The detector has no output of this name, or a parameter requests something unsupported.
pub(super) fn output(name: &str, parameters: &Parameters, of: &[Output]) -> Result<Output, Problem> {
    check_is_sent(parameters)?;
    if parameters.contains_key("classification") {
        return Err(unsupported("classification"));
    }
    of.iter().copied().find(|output| output.name() == name).ok_or_else(|| {
        let names: Vec<&str> = of.iter().map(|output| output.name()).collect();
        Problem::bad_request(format!("expected an output of {}, found another", names.join(", ")))
    })
}

/// The outputs of a request that names none, of those that a detector has.
pub(super) fn default_outputs(of: &[Output]) -> Vec<Output> {
    of.iter().copied().filter(|output| output.is_default()).collect()
}

/// Work on fewer bytes runs inline in the handler; work on more runs on a worker thread.
const INLINE_BYTES: usize = 256 << 10;

/// The answer to a request: the requested outputs, with one row per image, and what was decided while decoding.
pub(super) struct InferAnswer {
    pub(super) tensors: Vec<Tensor>,
    /// In plain words, with the numbers of the images.
    pub(super) remarks: Option<String>,
}

/// The parameter of an answer that holds remarks.
pub(super) const REMARKS: &str = "remarks";

/// Scores the images of a request.
///
/// # Errors
/// The inputs are not the model's, an image cannot be scored (its index is named), or the queue is full.
pub(super) async fn infer(
    shared: &ServerState,
    served: &Arc<ServedDetector>,
    request: InferRequest,
) -> Result<InferAnswer, Problem> {
    let InferRequest { inputs, outputs, threshold } = request;
    let threshold = threshold.unwrap_or(served.detector.calibration().threshold);
    let limits = shared.limits;
    let elements = inputs.iter().map(|input| input.values.len()).sum();
    let sources = offload_input(shared, elements, move || image_sources(inputs, &limits)).await?;
    let verdicts = shared.engine.score(served, sources, want(&outputs)).await?;
    let verdicts =
        verdicts.into_iter().enumerate().map(|(at, verdict)| verdict.map_err(|why| image_problem(at, why)));
    let verdicts = verdicts.collect::<Result<Vec<Verdict>, Problem>>()?;
    let started = Instant::now();
    let tensors = output_tensors(served, &verdicts, &outputs, threshold)?;
    served.statistics.compute_output.record(started.elapsed());
    Ok(InferAnswer { tensors, remarks: remarks(&verdicts) })
}

/// What was decided while decoding, if anything was: `image 0: page 1 of 3 is read, the others are not`.
fn remarks(verdicts: &[Verdict]) -> Option<String> {
    let of = |(at, verdict): (usize, &Verdict)| {
        let remarks: Vec<String> = verdict.remarks.iter().map(ToString::to_string).collect();
        (!remarks.is_empty()).then(|| format!("image {at}: {}", remarks.join("; ")))
    };
    let said: Vec<String> = verdicts.iter().enumerate().filter_map(of).collect();
    (!said.is_empty()).then(|| said.join("\n"))
}

/// Runs work on so many bytes of a request: inline if they are few, else on a worker thread with a place in the queue.
///
/// # Errors
/// The work fails, or the queue is full.
pub(super) async fn offload_input<T: Send + 'static>(
    shared: &ServerState,
    bytes: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let _room = if bytes < INLINE_BYTES { None } else { Some(shared.engine.reserve()?) };
    offload_output(shared, bytes, work).await
}

/// Runs work on so many bytes of a response in the same way, but without a place in the queue: a finished result is
/// sent even if the queue is full.
///
/// # Errors
/// The work fails.
pub(super) async fn offload_output<T: Send + 'static>(
    shared: &ServerState,
    bytes: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes < INLINE_BYTES { work() } else { shared.engine.run_blocking(work).await }
}

/// The problem for a request in which image number `at` cannot be scored.
fn image_problem(at: usize, why: ImageProblem) -> Problem {
    if why == ImageProblem::internal() {
        return Problem::internal();
    }
    Problem { hint: why.hint, ..Problem::bad_request(format!("image {at}: {}", why.detail)) }
}

fn want(outputs: &[Output]) -> Want {
    let has = |any: &[Output]| outputs.iter().any(|output| any.contains(output));
    Want {
        map: has(&[Output::AnomalousShare, Output::ErrorMap]),
        reconstruction: has(&[Output::Reconstruction]),
        ..Want::MEASUREMENTS
    }
}

fn image_sources(mut inputs: Vec<Tensor>, limits: &ServeLimits) -> Result<Vec<ImageSource>, Problem> {
    let found = inputs.len();
    match (inputs.pop(), found) {
        (Some(input), 1) if input.name == IMAGE => encoded(input, limits),
        (Some(input), 1) if input.name == PIXELS => decoded(input, limits),
        (Some(_), 1) => {
            Err(Problem::bad_request(format!("expected an input {IMAGE} or {PIXELS}, found another")))
        }
        _ => Err(Problem::bad_request(format!("expected one input, {IMAGE} or {PIXELS}, found {found}"))),
    }
}

fn encoded(input: Tensor, limits: &ServeLimits) -> Result<Vec<ImageSource>, Problem> {
    match (input.values, &input.shape[..]) {
        (Values::Bytes(images), &[count]) => {
            check_count(count, limits)?;
            Ok(images.into_iter().map(ImageSource::Encoded).collect())
        }
        (Values::Bytes(_), shape) => Err(expected_shape(IMAGE, "[images]", shape)),
        (values, _) => Err(expected_type(IMAGE, "BYTES", &values)),
    }
}

fn decoded(input: Tensor, limits: &ServeLimits) -> Result<Vec<ImageSource>, Problem> {
    let (count, height, width, channels) = match input.shape[..] {
        [count, height, width, channels @ (1 | 3)] => (count, height, width, channels),
        [height, width, channels @ (1 | 3)] => (1, height, width, channels),
        ref shape => {
            let expected =
                "[images, height, width, channels] or [height, width, channels] with 1 or 3 channels";
            return Err(expected_shape(PIXELS, expected, shape));
        }
    };
    check_count(count, limits)?;
    let pixels = height.saturating_mul(width);
    if pixels == 0 {
        return Err(Problem::bad_request(format!(
            "{PIXELS}: expected images with pixels, found {height} x {width}"
        )));
    }
    if pixels as u64 > limits.pixels {
        return Err(Problem::too_large(format!(
            "{PIXELS}: expected images of at most {} pixels, found {height} x {width}",
            limits.pixels
        )));
    }
    let each = pixels.saturating_mul(channels);
    let images: Vec<Vec<f32>> = match &input.values {
        // As the decoder converts 8-bit files.
        Values::Uint8(values) => values
            .chunks_exact(each)
            .map(|image| image.iter().map(|&v| f32::from(v) / 255.0).collect())
            .collect(),
        Values::Fp32(values) => values.chunks_exact(each).map(<[f32]>::to_vec).collect(),
        values => return Err(expected_type(PIXELS, "FP32 or UINT8", values)),
    };
    images
        .into_iter()
        .enumerate()
        .map(|(at, image)| {
            if let Some(value) = image.iter().find(|value| !(0.0..=1.0).contains(*value)) {
                return Err(Problem::bad_request(format!(
                    "image {at}: expected pixels from 0 to 1, found {value}"
                ))
                .with_hint("send 8-bit values as UINT8, or divide by the largest possible value"));
            }
            let image = Image::from_pixels(image, height, width, channels).ok_or_else(Problem::internal)?;
            Ok(ImageSource::Decoded(image))
        })
        .collect()
}

fn check_count(count: usize, limits: &ServeLimits) -> Result<(), Problem> {
    match count {
        0 => Err(Problem::bad_request("expected at least one image, found none")),
        count if count > limits.images => Err(Problem::too_large(format!(
            "expected at most {} images in one request, found {count}",
            limits.images
        ))),
        _ => Ok(()),
    }
}

fn expected_shape(name: &str, expected: &str, found: &[usize]) -> Problem {
    Problem::bad_request(format!("{name}: expected the shape {expected}, found {found:?}"))
}

fn expected_type(name: &str, expected: &str, found: &Values) -> Problem {
    Problem::bad_request(format!(
        "{name}: expected the datatype {expected}, found {}",
        found.datatype().name()
    ))
}

fn output_tensors(
    served: &ServedDetector,
    verdicts: &[Verdict],
    outputs: &[Output],
    threshold: f64,
) -> Result<Vec<Tensor>, Problem> {
    // An output that the detector has is there for every image.
    let each = |of: &dyn Fn(&Verdict) -> Option<f64>| {
        let values: Option<_> = verdicts.iter().map(of).collect();
        values.map(Values::Fp64).ok_or_else(Problem::internal)
    };
    let join = |of: &dyn Fn(&Verdict) -> Option<&[f32]>| {
        let values: Option<Vec<_>> = verdicts.iter().map(of).collect();
        values.map(|values| Values::Fp32(values.concat())).ok_or_else(Problem::internal)
    };
    let tensor = |&output: &Output| {
        let values = match output {
            Output::Score => each(&|verdict| Some(verdict.score))?,
            Output::PValue => each(&|verdict| verdict.p_value)?,
            Output::Threshold => each(&|_| Some(threshold))?,
            Output::Anomalous => {
                Values::Bool(verdicts.iter().map(|verdict| is_anomalous(verdict.score, threshold)).collect())
            }
            Output::AnomalousShare => {
                let pixel_threshold = served.detector.pixel_threshold();
                each(&|verdict| anomalous_share(verdict, pixel_threshold))?
            }
            Output::ErrorMap => join(&|verdict| verdict.map.as_deref())?,
            Output::Reconstruction => join(&Verdict::reconstruction)?,
            Output::Embedding => join(&Verdict::embedding)?,
        };
        let mut shape = vec![verdicts.len()];
        shape.extend(output.axes(&served.detector));
        Ok(Tensor { name: output.name().to_owned(), shape, values })
    };
    outputs.iter().map(tensor).collect()
}
