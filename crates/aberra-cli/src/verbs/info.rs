//! `aberra info`: what a detector was made from, and what it promises.

use std::path::Path;

use aberra::{Detector, PartSize};
use clap::Args;

use crate::args::{DetectorArgs, JsonArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;
use crate::steps::card::{bytes, describe};

/// Say what a detector was trained on, its settings, its promise and its hash.
#[derive(Args)]
#[command(after_help = "Example:\n  aberra info runs/first/detector.aberra --json")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &InfoArgs) -> CommandResult {
    let path = &args.detector.detector;
    let detector = Detector::load(path)?;
    if args.json.json {
        output::json(&describe(path, &detector)?)?;
    } else {
        output::data(&words(path, &detector)?)?;
    }
    Ok(ExitStatus::Done)
}

fn words(path: &Path, detector: &Detector) -> Result<String, CommandError> {
    let (provenance, config) = (detector.provenance(), detector.config());
    let (preprocessing, model) = (&config.preprocessing, &config.model);
    let calibration = detector.calibration();
    let part = |size: PartSize| {
        format!(
            "{} of {}",
            output::count(size.images, "image", "images"),
            output::count(size.groups, "group", "groups")
        )
    };
    let crop = if preprocessing.foreground_crop.is_some() { "foreground crop, " } else { "" };
    let pad = if preprocessing.square_pad { "square pad, " } else { "" };
    let rise = provenance.synthetic_rise;
    let rise = rise.map_or_else(String::new, |rise| format!(", synthetic rise {rise:.3}"));
    Ok(output::aligned(&[
        ("detector", path.display().to_string()),
        ("hash", detector.hash().unwrap_or("none").to_owned()),
        ("size", output::size(bytes(path)?)),
        ("made by", format!("Aberra {}", provenance.aberra_version)),
        ("data set", provenance.dataset.clone()),
        ("trained on", part(provenance.train)),
        ("fitted on", part(provenance.fit)),
        ("calibrated on", part(provenance.calibration)),
        (
            "input",
            format!(
                "{crop}{pad}{} x {} px, {:?}, intensities from percentiles {} to {}",
                preprocessing.size_px,
                preprocessing.size_px,
                preprocessing.color,
                preprocessing.intensity.low_percentile,
                preprocessing.intensity.high_percentile
            )
            .to_lowercase(),
        ),
        (
            "model",
            format!(
                "{} of channels {:?}, {} latent dimensions, {} parameters, {}",
                format!("{:?}", model.architecture).to_lowercase(),
                model.channels,
                model.latent,
                provenance.parameters,
                model.precision.name()
            ),
        ),
        (
            "training",
            format!(
                "{} epochs, seed {}; weights of epoch {}{rise}",
                config.train.epochs, config.seed, provenance.best_epoch
            ),
        ),
        ("scorer", config.scorer.clone()),
        ("threshold", output::number(calibration.threshold)),
        ("promise", calibration.promise.to_string()),
        ("pixel threshold", output::number(detector.pixel_threshold())),
        ("thumbnails", if config.keep_thumbnails { "kept" } else { "none" }.to_owned()),
    ]))
}
