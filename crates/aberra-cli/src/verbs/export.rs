//! `aberra export`: writes a detector as an ONNX model, for other runtimes.

use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::dataset::read_image;
use aberra::export::{Axis, ExportOptions, Tensor, description_of};
use aberra::image::Image;
use clap::Args;
use serde_json::json;

use crate::args::{DetectorArgs, JsonArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;
use crate::sources::Sources;

const EXAMPLES: &str = "\
Examples:
  aberra export runs/first/detector.aberra --onnx first.onnx
  # the proof is made on images of the kind that the detector is for, too
  aberra export runs/first/detector.aberra --onnx first.onnx --images new/

The model takes preprocessed images and gives score, p-value, verdict, map and reconstruction. How images are \
preprocessed stands in first.json, which is written beside it; docs/onnx.md shows it in Python. The model is run before \
it is written, and refused where it does not agree with the detector.";

/// Images of --images on which the proof is made, at most: the first ones.
const MOST_IMAGES: usize = 64;

/// Writes a detector as an ONNX model (opset 17), for onnxruntime, OpenVINO, browsers and other runtimes.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Write the model to this file, and its description beside it, with the extension .json.
    #[arg(long, value_name = "FILE.onnx")]
    onnx: PathBuf,
    /// Image file, folder or manifest on which model and detector are compared, beside drawn images; repeatable.
    #[arg(long, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Let the model give every measurement, too.
    #[arg(long)]
    evidence: bool,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &ExportArgs) -> CommandResult {
    let path = &args.detector.detector;
    let beside = description_of(&args.onnx)?;
    let detector = Detector::load(path)?;
    let inputs: Vec<&Path> = std::iter::once(path).chain(&args.images).map(PathBuf::as_path).collect();
    output::target(&args.onnx, &inputs)?;
    output::target(&beside, &inputs)?;
    let images = images(&detector, &args.images)?;
    let model = detector.export(&ExportOptions { evidence: args.evidence, images })?;
    let bytes = model.file.len() as u64;
    model.save(&args.onnx)?;
    let description = &model.description;
    let proof = description.proof.as_ref();
    if args.json.json {
        output::json(&json!({
            "onnx": args.onnx.to_string_lossy(),
            "description": beside.to_string_lossy(),
            "bytes": bytes,
            "input": description.input,
            "outputs": description.outputs,
            "proof": proof,
        }))?;
    } else {
        let mut rows = vec![
            ("model", format!("{} ({})", args.onnx.display(), output::size(bytes))),
            ("description", beside.display().to_string()),
            ("input", tensor(&description.input)),
            ("outputs", description.outputs.iter().map(tensor).collect::<Vec<_>>().join("\n")),
        ];
        rows.extend(proof.map(|proof| ("proof", proof.to_string())));
        output::data(&output::aligned(&rows))?;
    }
    Ok(ExitStatus::Done)
}

/// The first of the images that are named.
fn images(detector: &Detector, named: &[PathBuf]) -> Result<Vec<Image>, CommandError> {
    let limits = detector.config().limits;
    let mut images = Vec::new();
    for listed in Sources::new(named, false, detector).take(MOST_IMAGES) {
        let file = listed.map_err(CommandError::new)?;
        images.push(read_image(&file.path, None, &limits)?);
    }
    if images.is_empty() && !named.is_empty() {
        return Err(CommandError::at(&named[0], "expected images to compare on, found none"));
    }
    Ok(images)
}

/// `map [batch, 64, 64] float32`
fn tensor(tensor: &Tensor) -> String {
    let axis = |axis: &Axis| match axis {
        Axis::Free(name) => (*name).to_owned(),
        Axis::Length(length) => length.to_string(),
    };
    let axes: Vec<String> = tensor.shape.iter().map(axis).collect();
    format!("{} [{}] {}", tensor.name, axes.join(", "), tensor.element)
}
