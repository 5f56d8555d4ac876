//! `aberra info`: describes a detector, or the machine.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aberra::image::{InvalidValue, RelativeRegion};
use aberra::models::train::TrainSettings;
use aberra::score::EvidenceWeight;
use aberra::wire::{DetectorCard, MachineCard, MemberCard, TilesCard};
use aberra::{Detector, PartSize, TrainConfig};
use clap::Args;

use crate::args::JsonArgs;
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::output;
use crate::steps::card::{bytes, describe, name_of, volumes, weights};

const SECONDS_A_DAY: usize = 86_400;

/// Describes a detector: training data, settings, coverage guarantee and hash.
#[derive(Args)]
#[command(after_help = "Examples:\n  aberra info runs/first/detector.aberra --json\n  aberra info --machine")]
pub(crate) struct InfoArgs {
    /// Detector file.
    #[arg(value_name = "DETECTOR", required_unless_present = "machine")]
    detector: Option<PathBuf>,

    /// Describe this machine instead: instruction set, what the precision `auto` means here and why, measured peaks.
    #[arg(long, conflicts_with = "detector")]
    machine: bool,

    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &InfoArgs) -> CommandResult {
    let Some(path) = &args.detector else {
        let card = MachineCard::measure()?;
        if args.json.json {
            output::json(&card)?
        } else {
            output::data(&machine(&card))?
        }
        return Ok(ExitStatus::Done);
    };
    let detector = Detector::load(path)?;
    if args.json.json {
        output::json(&describe(path, &detector)?)?;
    } else {
        output::data(&words(path, &detector)?)?;
    }
    Ok(ExitStatus::Done)
}

fn machine(card: &MachineCard) -> String {
    let age = card.measured_at_secs.map_or_else(String::new, |at| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(at, |since| since.as_secs());
        format!(", {} ago", output::count(now.saturating_sub(at) as usize / SECONDS_A_DAY, "day", "days"))
    });
    let mut rows = vec![
        ("processor", card.processor.clone()),
        ("instructions", card.instructions.clone()),
        ("cores", card.cores.to_string()),
        ("precision auto", format!("{}, by {}: {}{age}", card.auto_precision, card.chosen_by, card.why)),
        ("peak of a core, f32", format!("{:.0} GFLOP/s", card.f32_gflops)),
        ("peak of a core, bf16", format!("{:.0} GFLOP/s", card.bf16_gflops)),
    ];
    rows.extend(card.remark.clone().map(|remark| ("remark", remark)));
    output::aligned(&rows)
}

/// A part of an image in words.
fn shares(part: RelativeRegion) -> String {
    let percent = |from: f64, length: f64| format!("{:.0} to {:.0} %", 100.0 * from, 100.0 * (from + length));
    format!(
        "{} of the width and {} of the height",
        percent(part.left, part.width),
        percent(part.top, part.height)
    )
}

/// What stands for "not measured".
fn filled(detector: &Detector) -> String {
    let config = detector.config();
    let value = |invalid: &InvalidValue| match &invalid.channel {
        Some(channel) => format!("{} of {channel}", invalid.value),
        None => invalid.value.to_string(),
    };
    let mut values: Vec<String> = config.preprocessing.invalid.iter().map(value).collect();
    values.extend(config.limits.not_finite.then(|| "NaN".to_owned()));
    if values.is_empty() {
        String::new()
    } else {
        format!("{} filled as not measured, ", values.join(" and "))
    }
}

fn words(path: &Path, detector: &Detector) -> Result<String, CommandError> {
    let (card, config) = (DetectorCard::of(detector, &name_of(path))?, detector.config());
    let preprocessing = &config.preprocessing;
    let part = |size: PartSize| {
        format!(
            "{} of {}",
            output::count(size.images, "image", "images"),
            output::count(size.groups, "group", "groups")
        )
    };
    let region = preprocessing.region.map_or_else(String::new, |part| format!("region {}, ", shares(part)));
    let ignored: Vec<String> = preprocessing.ignore.iter().map(|part| shares(*part)).collect();
    let ignored =
        if ignored.is_empty() { String::new() } else { format!("without {}, ", ignored.join(" and ")) };
    let filled = filled(detector);
    let crop = if preprocessing.foreground_crop.is_some() { "foreground crop, " } else { "" };
    let pad = if preprocessing.square_pad { "square pad, " } else { "" };
    let tiles = card.tiles.map_or_else(String::new, |TilesCard { rows, columns, size_px, .. }| {
        let (rows, columns) = (output::count(rows, "row", "rows"), output::count(columns, "tile", "tiles"));
        format!(" as {rows} of {columns} of {size_px} x {size_px} px")
    });
    let channels = match &preprocessing.channels[..] {
        [] => format!("{:?}", preprocessing.color),
        names => format!("channels {}", names.join(", ")),
    };
    let (intensity, window) = (preprocessing.intensity, preprocessing.window);
    let intensities =
        match window.map(|window| [window.center - window.width / 2.0, window.center + window.width / 2.0]) {
            Some([low, high]) => format!("values {low} to {high}"),
            None => format!("percentiles {} to {}", intensity.low_percentile, intensity.high_percentile),
        };
    let models: Vec<String> = card.members.iter().map(model).collect();
    let other_data = detector.provenance().calibrated_on.as_ref();
    let other_data = other_data.map_or_else(String::new, |name| format!(", from {name}"));
    let mut rows = vec![
        ("detector", path.display().to_string()),
        ("hash", card.hash.unwrap_or_else(|| "none".to_owned())),
        ("size", output::size(bytes(path)?)),
        ("made by", format!("Aberra {}", card.aberra_version)),
        ("data set", card.made_from),
        ("trained on", part(card.train)),
        ("fitted on", part(card.fit)),
        ("calibrated on", part(card.calibration) + &other_data),
        (
            "input",
            format!(
                "{filled}{region}{ignored}{crop}{pad}{} x {} px{tiles}, {channels}, intensities from {intensities}",
                card.input.width, card.input.height
            )
            .to_lowercase(),
        ),
        (if models.len() > 1 { "models" } else { "model" }, models.join("\n")),
        ("training", training(config)),
        ("weights", weights(detector)),
    ];
    let imported = detector.provenance().imported_from.clone();
    rows.extend(imported.map(|file| ("weights from", file)));
    rows.extend(backbone(detector).map(|backbone| ("backbone", backbone)));
    rows.extend(card.device.map(|device| ("device", device)));
    rows.extend([("scorer", card.scorer)]);
    if !card.evidence_weights.is_empty() {
        rows.push(("evidence", evidence(&card.evidence_weights)));
    }
    rows.extend([("threshold", output::number(card.threshold)), ("promise", card.promise.text)]);
    rows.extend(volumes(detector).map(|volumes| ("volumes", volumes)));
    rows.extend([
        ("pixel threshold", card.pixel_threshold.map_or("none: no maps".to_owned(), output::number)),
        ("thumbnails", if config.keep_thumbnails { "kept" } else { "none" }.to_owned()),
    ]);
    Ok(output::aligned(&rows))
}

/// The backbone of members that work on features, with the hash of its weights.
fn backbone(detector: &Detector) -> Option<String> {
    let hash = detector.provenance().backbone.as_ref()?;
    Some(format!("{} ({})", detector.config().backbone, hash.get(..12).unwrap_or(hash)))
}

/// The evidence that counts most in the score, a line each.
fn evidence(weights: &[EvidenceWeight]) -> String {
    /// Lines at most.
    const SHOWN: usize = 6;
    let line = |one: &EvidenceWeight| {
        let (share, auroc) = (100.0 * one.weight, one.synthetic_auroc);
        format!("{share:.0} % {} (AUROC {auroc:.2} on synthetic anomalies)", one.measurement)
    };
    let mut lines: Vec<String> = weights.iter().take(SHOWN).map(line).collect();
    let rest: f64 = weights.iter().skip(SHOWN).map(|one| one.weight).sum();
    if weights.len() > SHOWN {
        lines.push(format!("{:.0} % {} others", 100.0 * rest, weights.len() - SHOWN));
    }
    lines.join("\n")
}

/// How long it was trained by the settings, and from which seed.
fn training(config: &TrainConfig) -> String {
    let TrainSettings { epochs, least_steps, .. } = config.train;
    let least = if least_steps > 0 { format!(" (at least {least_steps} steps)") } else { String::new() };
    format!("{epochs} epochs{least}, seed {}", config.seed)
}

/// A member in one line.
fn model(card: &MemberCard) -> String {
    let mut words = vec![match card.name == card.family {
        true => card.name.clone(),
        false => format!("{} ({})", card.name, card.family),
    }];
    words.extend(card.preset.as_ref().map(|preset| format!("preset {preset}")));
    words.extend(
        card.embedding_dimensions.map(|count| output::count(count, "latent dimension", "latent dimensions")),
    );
    words.push(output::count(card.parameters, "parameter", "parameters"));
    words.extend(card.precision.clone());
    words.join(", ")
}
