//! `aberra explain`: one image's story, in words and as a picture.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::dataset::image_files;
use aberra::explain::{FoundNormal, Story, find_normals, story_png};
use clap::Args;
use serde_json::{Value, json};

use crate::args::{DetectorArgs, JsonArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::{inline, output};

const EXAMPLES: &str = "\
Examples:
  aberra explain runs/first/detector.aberra new/image.png
  aberra explain runs/first/detector.aberra new/image.png --data photos/ --out story.png

The picture shows original, reconstruction and error map, and the evidence beside that of the calibration normals. It is
also shown in the terminal where that can show pictures (kitty, iTerm2, WezTerm, Ghostty).";

/// Say why an image has its score: evidence beside normal images, nearest normals, and a picture.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// The image.
    image: PathBuf,
    /// Write the picture to this file.
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// The folder of the images that the detector was trained on: the nearest normals are named and shown.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Columns of a bar.
const BAR: usize = 24;

pub(crate) fn run(args: &ExplainArgs) -> CommandResult {
    let detector = Detector::load(&args.detector.detector)?;
    let image = aberra::image::read(&args.image, &detector.config().limits).map_err(aberra::of_image)?;
    let story = detector.explain(&image)?;
    let near = match &args.data {
        Some(folder) => {
            if !folder.is_dir() {
                return Err(CommandError::at(folder, "expected a folder of images")
                    .with_hint("give the folder that the detector was trained on"));
            }
            let files: Vec<PathBuf> = image_files(folder).filter_map(Result::ok).collect();
            find_normals(&detector, &story.nearest, &files)
        }
        None => find_normals(&detector, &story.nearest, &[]),
    };
    let shows = !args.json.json && inline::protocol().is_some();
    if args.out.is_some() || shows {
        let png = story_png(&detector, &story, &near)?;
        if let Some(file) = &args.out {
            output::write_whole(file, &png)?;
        }
        if shows {
            inline::show(&png)?;
        }
    }
    if args.json.json {
        output::json(&describe(args, &detector, &story, &near))?;
    } else {
        output::data(words(args, &detector, &story, &near).trim_end())?;
    }
    Ok(ExitStatus::Done)
}

fn words(args: &ExplainArgs, detector: &Detector, story: &Story, near: &[FoundNormal]) -> String {
    let verdict = &story.verdict;
    let above = verdict.score - verdict.threshold;
    let side = if verdict.anomalous { "above" } else { "below or at" };
    let mut rows = vec![
        ("image", args.image.display().to_string()),
        ("verdict", if verdict.anomalous { "anomalous" } else { "normal" }.to_owned()),
        (
            "score",
            format!(
                "{} by {}: {} {side} the threshold of {}",
                output::number(verdict.score),
                detector.config().scorer,
                output::number(above.abs()),
                output::number(verdict.threshold)
            ),
        ),
        (
            "p-value",
            format!(
                "{} ({} of {} calibration normals score at least as high)",
                output::number(verdict.p_value),
                detector.calibration().scores.iter().filter(|score| **score >= verdict.score).count(),
                detector.calibration().scores.len()
            ),
        ),
        (
            "marked",
            format!("{} of the image lies above the pixel threshold", output::percent(story.anomalous_share)),
        ),
    ];
    if let Some(file) = &args.out {
        rows.push(("picture", file.display().to_string()));
    }
    let mut text = output::aligned(&rows);
    text += "\n\nEvidence, and its percentile among the calibration normals\n";
    let width = story.evidence.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in &story.evidence {
        let filled = (row.percentile / 100.0 * BAR as f64).round() as usize;
        let (name, value) = (row.name, output::number(row.value));
        let (full, empty) = ("#".repeat(filled), ".".repeat(BAR.saturating_sub(filled)));
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:width$}  {value:>12}  {:>5.1}  {full}{empty}", row.percentile);
    }
    text += "\nNearest training normals in latent space\n";
    for (rank, near) in near.iter().enumerate() {
        let name = near.path.as_deref().map_or_else(
            || format!("number {} of the detector's normals", near.normal + 1),
            |path: &Path| path.display().to_string(),
        );
        let _ = writeln!(text, "  {}  distance {}  {name}", rank + 1, output::number(near.distance));
    }
    text
}

fn describe(args: &ExplainArgs, detector: &Detector, story: &Story, near: &[FoundNormal]) -> Value {
    let verdict = &story.verdict;
    let evidence: serde_json::Map<String, Value> = story
        .evidence
        .iter()
        .map(|row| (row.name.to_owned(), json!({ "value": row.value, "percentile": row.percentile })))
        .collect();
    let near: Vec<Value> = near
        .iter()
        .map(|near| {
            let path = near.path.as_deref().map(|path| path.to_string_lossy().into_owned());
            json!({ "normal": near.normal, "distance": near.distance, "path": path })
        })
        .collect();
    json!({
        "path": args.image.to_string_lossy(),
        "scorer": detector.config().scorer,
        "score": verdict.score,
        "p_value": verdict.p_value,
        "threshold": verdict.threshold,
        "anomalous": verdict.anomalous,
        "anomalous_share": story.anomalous_share,
        "pixel_threshold": detector.pixel_threshold(),
        "evidence": evidence,
        "nearest": near,
        "picture": args.out.as_deref().map(|file| file.to_string_lossy().into_owned()),
    })
}
