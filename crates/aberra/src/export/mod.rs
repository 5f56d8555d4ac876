//! A detector as an ONNX model, for other runtimes: everything from network input to verdict in one graph of opset 17, a
//! description beside it, and a proof that both agree.
//!
//! Decoding and preprocessing are not in it: they are described, as settings and in words. Of volumes it judges single slices.
//!
//! ```
//! # use aberra::dataset::{Dataset, OpenOptions};
//! # use aberra::phantom::{PhantomDataset, write_dataset};
//! # use aberra::{Detector, TrainConfig};
//! use aberra::export::ExportOptions;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let normals =
//! #     PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
//! # write_dataset(folder.path(), &normals)?;
//! # let settings = "preprocessing.size_px = 32\ntrain.epochs = 2\nsplit.by = 'none'\n\
//! #                 promise.false_alarm_rate = 0.1\n[model]\nfamily = 'autoencoder'\nchannels = [4, 8]";
//! # let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(settings)?])?;
//! # let detector = Detector::train(&Dataset::open(folder.path(), &OpenOptions::default())?, &config)?;
//! let model = detector.export(&ExportOptions::default())?;
//! assert!(model.description.proof.as_ref().is_some_and(|proof| proof.holds()));
//! let description = model.save(&folder.path().join("first.onnx"))?;
//! assert!(description.ends_with("first.json"));
//! # Ok(())
//! # }
//! ```

mod answer;
mod message;
mod model;
mod patterns;
mod ports;
mod proof;

use std::path::{Path, PathBuf};

use aberra_image::{Image, Input, InvalidValue, Preprocessing, RelativeRegion, Window};
use aberra_models::Shape;
use aberra_models::graph::{Element, Graph, GraphInference, Value, ValueType};
use serde::Serialize;

use self::model::{OPSET, Port};
pub use self::patterns::Pattern;
use self::patterns::patterns;
use self::ports::{ANOMALOUS, CHANNEL_MAPS, EVIDENCE, INPUT, MAP, OUTPUTS, P_VALUE, RECONSTRUCTION, SCORE};
pub use self::proof::Proof;
use crate::score::ScorerGraphInput;
use crate::wire::DetectorCard;
use crate::{Detector, Error, Result, output};

/// Version of the description's layout.
const VERSION: u32 = 1;

/// What is exported, and what the proof is made on.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// Whether the model gives every measurement, too: it then computes those that the score does not need.
    pub evidence: bool,
    /// Images that the proof is made on, with those that are drawn for it: best of the kind that the detector is for.
    pub images: Vec<Image>,
}

/// A detector as an ONNX model.
#[derive(Clone, Debug)]
pub struct OnnxModel {
    /// The file.
    pub file: Vec<u8>,
    /// What it is, and how it is used.
    pub description: Description,
}

/// What an exported model is, and how it is used: the JSON beside it, which the model's metadata hold without the proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// Version of this layout.
    pub version: u32,
    /// Version of Aberra that wrote it.
    pub aberra_version: String,
    /// Version of the operators.
    pub opset: i64,
    /// The detector's file: hash of its content; none where it was never saved.
    pub detector: Option<String>,
    /// The families of the members.
    pub families: Vec<String>,
    /// The scorer.
    pub scorer: String,
    /// What the model takes.
    pub input: Tensor,
    /// What it gives.
    pub outputs: Vec<Tensor>,
    /// The steps from a decoded image to the input, as the detector's settings hold them.
    pub preprocessing: Preprocessing,
    /// The same in words, in order.
    pub steps: Vec<String>,
    /// Scores above it are anomalous.
    pub threshold: f64,
    /// Values of the map above it are marked; none without a map.
    pub pixel_threshold: Option<f64>,
    /// What the threshold guarantees.
    pub promise: String,
    /// Names of the measurements, in the order of the output `evidence`.
    pub measurements: Vec<String>,
    /// Inputs that follow from a formula, and what the detector gives for them: a check for any runtime.
    pub checks: Vec<Pattern>,
    /// How far the model agrees with its detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tensor {
    /// Its name.
    pub name: &'static str,
    /// Type of its elements, as NumPy calls it.
    pub element: &'static str,
    /// Lengths of its axes; that of the batch is free.
    pub shape: Vec<Axis>,
    /// What it is.
    pub about: &'static str,
}

/// The length of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Axis {
    /// Free, by its name.
    Free(&'static str),
    /// As many.
    Length(usize),
}

impl Detector {
    /// The detector as an ONNX model, which another runtime has run on drawn images and those of the options, and which agreed
    /// with the detector.
    ///
    /// # Errors
    /// A detector of several tiles, a family or scorer that cannot be written as a graph, images that cannot be used, or a model
    /// that does not agree.
    pub fn export(&self, options: &ExportOptions) -> Result<OnnxModel> {
        let mut graph = Graph::default();
        let shape = self.canvas_shape();
        let Shape { height, width, channels } = shape;
        let input = graph.input(&[height, width, channels]);
        let outputs = self.outputs(&mut graph, input, options)?;
        graph.check()?;
        let input = Port { name: INPUT, value: input, about: "preprocessed images, 0 to 1, channels last" };

        let patterns = patterns(self)?;
        let mut description = self.description(&graph, &input, &outputs, patterns)?;
        let metadata = serde_json::to_string(&description)
            .map_err(|error| Error::detector(format!("the description cannot be written: {error}")))?;
        let about = format!("An anomaly detector: {}.", description.families.join(", "));
        let file = model::encode(&graph, &input, &outputs, &about, metadata);

        let drawn = patterns::inputs(self)?;
        let given =
            options.images.iter().map(|image| self.preprocess(image)).collect::<Result<Vec<Input>>>()?;
        let inputs: Vec<&[f32]> = drawn
            .iter()
            .map(Vec::as_slice)
            .chain(given.iter().map(|input| input.pixels.as_slice()))
            .collect();
        description.proof = Some(Proof::of(self, &file, &inputs)?);
        Ok(OnnxModel { file, description })
    }

    /// Writes everything from `input`, `[height, width, channels]`, to the verdict.
    fn outputs(&self, graph: &mut Graph, input: Value, options: &ExportOptions) -> Result<Vec<Port>> {
        let planes = graph.transpose(input, &[2, 0, 1]);
        let GraphInference { measurements, map, channel_maps, reconstruction } =
            self.members.graph(graph, planes)?;
        let sample = ScorerGraphInput { descriptors: self.descriptors(), evidence: &measurements, map };
        let score = self.scorer()?.graph(graph, &sample)?;
        let calibration = self.calibration();

        let row = graph.reshape(score, &[1]);
        let scores: Vec<f32> = calibration.scores.iter().map(|&score| score as f32).collect();
        let scores = graph.constant(&[scores.len()], &scores);
        let below = graph.greater(row, scores);
        let below = graph.share(below);
        let below = graph.sum(below, &[0]);
        let share = graph.times(below, -1.0 / (calibration.scores.len() + 1) as f64);
        let threshold = graph.number(calibration.threshold);

        let mut values = vec![
            (SCORE, score),
            (P_VALUE, graph.plus(share, 1.0)),
            (ANOMALOUS, graph.greater(score, threshold)),
        ];
        values.extend(map.map(|map| (MAP, map)));
        let planes = [(CHANNEL_MAPS, channel_maps), (RECONSTRUCTION, reconstruction)];
        values.extend(
            planes
                .into_iter()
                .filter_map(|(name, planes)| Some((name, graph.transpose(planes?, &[1, 2, 0])))),
        );
        if options.evidence {
            let each = measurements.iter().map(|&value| graph.reshape(value, &[1])).collect::<Vec<_>>();
            values.push((EVIDENCE, graph.concat(&each, 0)));
        }
        let about = |name: &str| OUTPUTS.iter().find(|(own, _)| *own == name).map_or("", |(_, about)| about);
        Ok(values.into_iter().map(|(name, value)| Port { name, value, about: about(name) }).collect())
    }

    fn description(
        &self,
        graph: &Graph,
        input: &Port,
        outputs: &[Port],
        checks: Vec<Pattern>,
    ) -> Result<Description> {
        let card = DetectorCard::of(self, "")?;
        let preprocessing = self.config().preprocessing.clone();
        Ok(Description {
            version: VERSION,
            aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
            opset: OPSET,
            detector: card.hash,
            families: self.members().iter().map(|named| named.family.clone()).collect(),
            scorer: card.scorer,
            input: tensor(graph, input),
            outputs: outputs.iter().map(|output| tensor(graph, output)).collect(),
            steps: steps(&preprocessing),
            preprocessing,
            threshold: card.threshold,
            pixel_threshold: card.pixel_threshold,
            promise: card.promise.text,
            measurements: self.descriptors().iter().map(|one| one.name.to_string()).collect(),
            checks,
            proof: None,
        })
    }
}

impl OnnxModel {
    /// Writes the model to `path`, and its description beside it under the same name with the extension `json`, whose path is
    /// returned.
    ///
    /// # Errors
    /// As [`description_of`], or a file cannot be written.
    pub fn save(&self, path: &Path) -> Result<PathBuf> {
        let beside = description_of(path)?;
        let mut json = serde_json::to_vec_pretty(&self.description)
            .map_err(|error| Error::detector(format!("the description cannot be written: {error}")))?;
        json.push(b'\n');
        output::write(&beside, &json)?;
        output::write(path, &self.file)?;
        Ok(beside)
    }
}

/// Where the description of the model at `path` lies.
///
/// # Errors
/// It would lie where the model does.
pub fn description_of(path: &Path) -> Result<PathBuf> {
    let beside = path.with_extension("json");
    if beside != path {
        return Ok(beside);
    }
    Err(Error::settings("expected another extension than .json, which the description has")
        .with_path(path)
        .with_hint("call the model FILE.onnx"))
}

fn tensor(graph: &Graph, port: &Port) -> Tensor {
    let ValueType { element, of_batch, dims } = graph.type_of(port.value);
    let element = match element {
        Element::Float => "float32",
        Element::Int64 => "int64",
        Element::Bool => "bool",
    };
    let batch = of_batch.then_some(Axis::Free(model::BATCH));
    let shape = batch.into_iter().chain(dims.iter().map(|&length| Axis::Length(length))).collect();
    Tensor { name: port.name, element, shape, about: port.about }
}

/// The steps of preprocessing in words.
fn steps(preprocessing: &Preprocessing) -> Vec<String> {
    let Preprocessing {
        size_px,
        window,
        region,
        ignore,
        channels,
        foreground_crop,
        square_pad,
        intensity,
        ..
    } = preprocessing;
    let mut steps = Vec::new();
    if let Some(Window { center, width }) = window {
        steps.push(format!(
            "grey values in the unit of the files (Hounsfield units of a CT): {center} - {width} / 2 becomes 0, {center} + \
             {width} / 2 becomes 1, clamped"
        ));
    }
    let words = |part: &RelativeRegion| {
        format!("left {}, top {}, width {}, height {}", part.left, part.top, part.width, part.height)
    };
    steps.extend(
        region
            .iter()
            .map(|part| format!("cut to the region, in shares of the image's sides: {}", words(part))),
    );
    let mut unseen: Vec<String> = Vec::new();
    if !preprocessing.invalid.is_empty() {
        let value = |invalid: &InvalidValue| invalid.value.to_string();
        let values: Vec<String> = preprocessing.invalid.iter().map(value).collect();
        unseen.push(format!("{}, which were not measured", values.join(" and ")));
    }
    if !ignore.is_empty() {
        let areas: Vec<String> = ignore.iter().map(words).collect();
        unseen.push(format!("these areas, in shares of the image's sides: {}", areas.join("; ")));
    }
    if !unseen.is_empty() {
        steps.push(format!(
            "put what lies around them in place of {}; from the edge of a hole inwards, the mean of those of a pixel's eight \
             neighbours that are known by then",
            unseen.join(", and of ")
        ));
    }
    match preprocessing.channel_count() {
        _ if window.is_some() => {}
        _ if !channels.is_empty() => steps.push(format!(
            "the channels {}, in this order; integers are divided by the largest value of their type",
            channels.join(", ")
        )),
        1 => steps.push(
            "grey values: colours become 0.299 red + 0.587 green + 0.114 blue; integers are divided by the largest \
             value of their type"
                .to_owned(),
        ),
        _ => steps.push(
            "red, green and blue, grey images three times; integers are divided by the largest value of their type"
                .to_owned(),
        ),
    }
    if let Some(crop) = foreground_crop {
        steps.push(format!(
            "cut to the box of what is brighter than {} of the 99.5th percentile of the grey values, with a margin of \
             {} of its sides (docs/onnx.md has every rule)",
            crop.threshold, crop.margin
        ));
    }
    if window.is_none() {
        let percentiles =
            format!("{}th and {}th percentiles", intensity.low_percentile, intensity.high_percentile);
        let of = if channels.is_empty() { "all channels together" } else { "of each channel by itself" };
        steps.push(format!("take the {percentiles} of the values, {of}"));
    }
    if *square_pad {
        let fill = if window.is_some() { "0" } else { "the lower of both" };
        steps.push(format!("pad the shorter side evenly to a square, with {fill}"));
    }
    steps.push(format!(
        "resize to {size_px} x {size_px} by a triangle filter that widens as it reduces (Pillow's BILINEAR, in f32)"
    ));
    if window.is_none() {
        steps.push("scale so that the percentiles become 0 and 1, and clamp".to_owned());
    }
    steps
}
