//! `aberra explain`: explains the score of an image, as text, JSON and a figure.

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aberra::Detector;
use aberra::dataset::{Case, find_cases, image_files, is_manifest};
use aberra::explain::{FoundNormal, Story, find_normals, principal_components, story_png};
use aberra::models::measure::Want;
use aberra::wire::Explanation;
use clap::Args;
use serde::Serialize;

use crate::args::{DetectorArgs, JsonArgs};
use crate::data::Listed;
use crate::error::{CommandError, CommandResult, ExitStatus, with_path};
use crate::{data, inline, output};

const EXAMPLES: &str = "\
Examples:
  aberra explain runs/first/detector.aberra new/image.png
  aberra explain runs/first/detector.aberra new/image.png --data photos/ \\
      --out story.png
  # the most anomalous slice of a volume
  aberra explain runs/mri/detector.aberra scan.nii.gz --volumes \\
      --out worst.png

The figure shows network input, reconstruction and error map, and the measurements as percentiles of the calibration \
normals. It is also displayed in terminals with a graphics protocol (kitty, iTerm2, WezTerm, Ghostty).";

/// Explains an image's score: evidence, nearest training normals, and a figure.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    /// Image file, or a manifest (.csv, .jsonl) of several.
    image: PathBuf,
    /// Explain this page, frame or slice of a file that has several, from 1; by default the first of full resolution.
    #[arg(long, value_name = "N")]
    page: Option<NonZeroU32>,
    /// Judge the volume as a whole (a NIfTI or DICOM file, or the folder of one DICOM series), and explain its most anomalous slice.
    #[arg(long, conflicts_with = "page")]
    volumes: bool,
    /// Write the figure to this file.
    #[arg(long, value_name = "FILE.png")]
    out: Option<PathBuf>,
    /// Folder or manifest (.csv, .jsonl) of the training images, from which the nearest normals are named and shown.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
}

/// Width of a bar in characters.
const BAR: usize = 24;
/// Principal components on which the image's coordinates are given.
const COMPONENTS: usize = 5;

/// The explanation of an image file, as JSON.
#[derive(Serialize)]
struct ExplainedFile<'a> {
    path: String,
    scorer: &'a str,
    #[serde(flatten)]
    explanation: Explanation,
    /// Threshold of single pixels, in the units of the map; none where the detector makes no maps.
    pixel_threshold: Option<f64>,
    /// Path of the figure, if one was written.
    picture: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs) -> CommandResult {
    let detector = Detector::load(&args.detector.detector)?;
    if is_manifest(&args.image) && (args.out.is_some() || args.page.is_some()) {
        return Err(CommandError::at(
            &args.image,
            "expected one image to draw or to take a page of, found a manifest of several",
        )
        .with_hint("leave out --out and --page, or give an image"));
    }
    if let Some(out) = &args.out {
        let data = args.data.iter().map(PathBuf::as_path);
        output::target(
            out,
            &[&args.image, &args.detector.detector]
                .into_iter()
                .map(PathBuf::as_path)
                .chain(data)
                .collect::<Vec<_>>(),
        )?;
    }
    let training = args.data.as_deref().map(training_images).transpose()?.unwrap_or_default();
    let page = args.page.map(|page| page.get() - 1);
    if args.volumes {
        let (file, page) = worst_slice(&detector, &args.image)?;
        explain(args, &detector, (&Listed::file(file), page), &training)?;
        return Ok(ExitStatus::Done);
    }
    if !is_manifest(&args.image) {
        explain(args, &detector, (&Listed::file(args.image.clone()), page), &training)?;
        return Ok(ExitStatus::Done);
    }
    let named = data::named_in(&args.image)?;
    let mut failed = 0;
    for listed in &named {
        if let Err(error) = explain(args, &detector, (listed, page), &training) {
            let CommandError::Library(error) = error else { return Err(error) };
            output::warning(&format!("skipped {}", with_path(&listed.path, &error)));
            failed += 1;
        }
    }
    match failed {
        0 => Ok(ExitStatus::Done),
        _ if failed == named.len() => Err(CommandError::at(
            &args.image,
            format!("expected images, found {} that cannot be used", output::count(failed, "file", "files")),
        )),
        _ => Ok(ExitStatus::SomeFailed),
    }
}

/// Explains one image, with the nearest normals looked for among the training images.
fn explain(
    args: &ExplainArgs,
    detector: &Detector,
    (Listed { path, channels }, page): (&Listed, Option<u32>),
    training: &[PathBuf],
) -> Result<(), CommandError> {
    let limits = &detector.config().limits;
    let image = match detector.config().preprocessing.channels[..] {
        [] => aberra::image::read_page(path, page.unwrap_or(0), limits).map_err(aberra::of_image)?,
        _ => detector.read_image(path, channels, page, limits)?,
    };
    let story = detector.explain(&image)?;
    for remark in &story.verdict.remarks {
        output::note(&format!("{}: {remark}", path.display()));
    }
    let near = find_normals(detector, &story.nearest, training);
    let shows = !args.json.json && inline::protocol().is_some();
    if args.out.is_some() || shows {
        let png = story_png(detector, &story, &near)?;
        if let Some(file) = &args.out {
            aberra::output::write(file, &png)?;
        }
        if shows {
            inline::show(&png)?;
        }
    }
    let several = is_manifest(&args.image);
    if args.json.json {
        let described = describe(args, path, detector, &story, &near)?;
        if several { output::json_line(&described) } else { output::json(&described) }
    } else {
        let text = words(args, path, detector, &story, &near);
        output::data(if several { &text } else { text.trim_end() })
    }
}

/// The files among which the training images are: those of a folder, or those that a manifest names.
fn training_images(path: &Path) -> Result<Vec<PathBuf>, CommandError> {
    if is_manifest(path) {
        return Ok(data::named_in(path)?.into_iter().map(|listed| listed.path).collect());
    }
    if !path.is_dir() {
        return Err(CommandError::at(
            path,
            "expected a folder of images or a manifest, found something else",
        )
        .with_hint("give the data that the detector was trained on"));
    }
    let mut listed = image_files(path);
    let files: Vec<PathBuf> = listed.by_ref().filter_map(Result::ok).collect();
    let mut passed_over = listed.passed_over();
    // A mask among training images is not judged.
    passed_over.like_masks = None;
    data::passed_over(&passed_over);
    Ok(files)
}

/// The most anomalous slice of the one volume at a path; says what the volume's verdict is.
fn worst_slice(detector: &Detector, path: &Path) -> Result<(PathBuf, Option<u32>), CommandError> {
    let mut listed = image_files(path);
    let files = listed.by_ref().collect::<Result<Vec<PathBuf>, _>>()?;
    let found = find_cases(files, &detector.config().limits);
    let [Case::Volume(volume)] = &found.cases[..] else {
        let text = format!(
            "expected one volume, found {}",
            output::count(found.cases.len(), "image or volume", "images and volumes")
        );
        return Err(CommandError::at(path, text)
            .with_hint("name a NIfTI or DICOM file of several slices, or the folder of one DICOM series"));
    };
    found.notes.iter().for_each(|note| output::note(note));
    let verdict =
        detector.score_volume(volume, Want::MEASUREMENTS, |_, _| std::ops::ControlFlow::Continue(()))?;
    let judged = match (verdict.anomalous(), verdict.threshold) {
        (Some(anomalous), Some(threshold)) => {
            format!("{}, threshold {}", output::verdict(anomalous), output::number(threshold))
        }
        _ => "no verdict: the detector is not calibrated on volumes".to_owned(),
    };
    output::note(&format!(
        "volume: score {}, {judged}, p-value {}; slice {} of {} is explained, its most anomalous",
        output::number(verdict.score),
        output::p_value(verdict.p_value),
        verdict.worst + 1,
        volume.slices.len()
    ));
    let slice = &volume.slices[verdict.worst];
    Ok((slice.path.clone(), slice.page))
}

fn words(
    args: &ExplainArgs,
    path: &Path,
    detector: &Detector,
    story: &Story,
    near: &[FoundNormal],
) -> String {
    let verdict = &story.verdict;
    let above = verdict.score - verdict.threshold;
    let side = if verdict.anomalous { "above" } else { "below or at" };
    let mut rows = vec![
        ("image", path.display().to_string()),
        ("verdict", output::verdict(verdict.anomalous).to_owned()),
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
                "{} (conformal, from {})",
                output::p_value(verdict.p_value),
                output::count(
                    detector.calibration().scores.len(),
                    "calibration normal",
                    "calibration normals"
                )
            ),
        ),
    ];
    let marked = |share| format!("{} of the image is above the pixel threshold", output::percent(share));
    rows.extend(story.anomalous_share.map(|share| ("marked", marked(share))));
    if let Some(channel) = detector.most_unusual_channel(&verdict.evidence) {
        rows.push(("channel", format!("{} is the most unusual", detector.channels()[channel])));
    }
    rows.extend(detector.config().preprocessing.shown_in_words().map(|text| ("shown", text)));
    if let Some(file) = &args.out {
        rows.push(("picture", file.display().to_string()));
    }
    let mut text = output::aligned(&rows);
    text += "\n\nMeasurements, and their percentiles among the calibration normals\n";
    let width = story.evidence.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in &story.evidence {
        let (name, value) = (&row.name, output::number(row.value));
        let percentile = row.percentile.map_or_else(
            || format!("{:>5}", "-"),
            |percentile| {
                let filled = (percentile / 100.0 * BAR as f64).round() as usize;
                let empty = BAR.saturating_sub(filled);
                format!("{percentile:>5.1}  {}{}", "#".repeat(filled), ".".repeat(empty))
            },
        );
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:width$}  {value:>12}  {percentile}");
    }
    if !near.is_empty() {
        text += "\nNearest training normals in the embedding space\n";
    }
    for (rank, near) in near.iter().enumerate() {
        let name = near.path.as_deref().map_or_else(
            || format!("number {} of the detector's normals", near.normal + 1),
            |path: &Path| path.display().to_string(),
        );
        let _ = writeln!(text, "  {}  distance {}  {name}", rank + 1, output::number(near.distance));
    }
    text
}

fn describe<'a>(
    args: &ExplainArgs,
    path: &Path,
    detector: &'a Detector,
    story: &Story,
    near: &[FoundNormal],
) -> Result<ExplainedFile<'a>, CommandError> {
    let mut explanation = Explanation::of(detector, story, story.verdict.threshold);
    if let (Ok(components), Some(embedding)) =
        (principal_components(detector, COMPONENTS), story.verdict.embedding())
    {
        explanation.pca = components.project(embedding)?;
    }
    for (card, found) in explanation.nearest.iter_mut().zip(near) {
        card.name = found.path.as_deref().map(|path| {
            let within = args
                .data
                .as_deref()
                .and_then(|data| path.strip_prefix(if data.is_dir() { data } else { data.parent()? }).ok());
            within.unwrap_or(path).to_string_lossy().into_owned()
        });
    }
    Ok(ExplainedFile {
        path: path.to_string_lossy().into_owned(),
        scorer: &detector.config().scorer,
        explanation,
        pixel_threshold: detector.gives().map.then(|| detector.pixel_threshold()),
        picture: args.out.as_deref().map(|file| file.to_string_lossy().into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use aberra::image::{Limits, read};
    use aberra::testing;

    use super::*;

    #[test]
    fn a_detector_without_map_and_embedding_is_explained_by_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = testing::dataset(folder.path());
        let detector = testing::detector(&dataset, false);
        let image = dataset.samples.last().unwrap().path.clone();
        let story = detector.explain(&read(&image, &Limits::default()).unwrap()).unwrap();
        let args = ExplainArgs {
            detector: DetectorArgs { detector: "bare.aberra".into() },
            image,
            page: None,
            volumes: false,
            out: None,
            data: None,
            json: JsonArgs { json: true },
        };
        let text = words(&args, &args.image, &detector, &story, &[]);
        assert!(text.contains("grey.distance") && text.contains("p-value"), "{text}");
        assert!(!text.contains("pixel threshold") && !text.contains("Nearest"), "{text}");
        let told = serde_json::json!(describe(&args, &args.image, &detector, &story, &[]).unwrap());
        assert_eq!((&told["pixel_threshold"], &told["verdict"]["anomalous_share"]), (&().into(), &().into()));
        assert_eq!((&told["embedding"], &told["nearest"]), (&serde_json::json!([]), &serde_json::json!([])));
    }
}
