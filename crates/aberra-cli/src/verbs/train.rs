//! `aberra train`: splits a data set and trains a detector, in a run folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aberra::dataset::{Dataset, Fold};
use aberra::run::{Claim, RunFolder};
use aberra::score::EvidenceWeight;
use aberra::{CheckedConfig, TrainConfig, TrainedDetector, Training, TrainingRequest};
use clap::Args;
use serde_json::json;

use crate::args::{JsonArgs, NormalArgs};
use crate::data::Shown;
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::settings::{ModelArgs, SettingsArgs};
use crate::steps::{card, training};
use crate::{interrupt, output};

const EXAMPLES: &str = "\
Examples:
  # normals only, or usual class names
  aberra train photos/ --out runs/first
  # class folders: name the normal one
  aberra train brain-mri/ --normal notumor --out runs/mri
  # continue after Ctrl-C
  aberra train photos/ --out runs/first --resume
  # another family of models
  aberra train photos/ --out runs/vq --family vqvae
  aberra train photos/ --out runs/1 --rate 0.01 --set train.learning_rate=0.0005
  aberra train --print-config > settings.toml

The run folder contains detector.aberra, split.json and config.toml, and for each model history.jsonl, TensorBoard \
event files, samples/ and checkpoint.safetensors.";

/// Trains a detector on the normal images of a data set.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Folder of images, or manifest (.csv, .jsonl).
    #[arg(required_unless_present_any = ["print_config", "config_schema"])]
    data: Option<PathBuf>,
    /// Run folder; created if it does not exist.
    #[arg(long, value_name = "RUNDIR", required_unless_present_any = ["print_config", "config_schema"])]
    out: Option<PathBuf>,
    #[command(flatten)]
    normal: NormalArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// pool: split all images by group; layout: keep the split of the folders and report its leakage; or a split.json.
    #[arg(long, value_name = "pool|layout|FILE.json")]
    split: Option<PathBuf>,
    /// Cross-validation: test on fold I of K of the normals' groups, with I from 1.
    #[arg(long, value_name = "I/K", value_parser = fold, conflicts_with = "split")]
    fold: Option<Fold>,
    /// Resume from the run folder's checkpoint, with its settings and split; with more --epochs, also after it has finished.
    #[arg(long)]
    resume: bool,
    /// Overwrite an existing run.
    #[arg(long, conflicts_with = "resume")]
    force: bool,
    /// Print the settings as TOML and exit.
    #[arg(long)]
    print_config: bool,
    /// Print the JSON Schema of the settings and exit.
    #[arg(long)]
    config_schema: bool,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &TrainArgs) -> CommandResult {
    if args.config_schema {
        output::json(&TrainConfig::json_schema())?;
        return Ok(ExitStatus::Done);
    }
    let request = request(args);
    let config = settings(args, request.as_ref())?;
    if args.print_config {
        output::data(config.to_toml()?.trim_end())?;
        return Ok(ExitStatus::Done);
    }
    let (Some(request), Some(path), Some(out)) = (request, &args.data, &args.out) else {
        return Err(CommandError::new("expected a data set and --out RUNDIR, found one missing"));
    };
    interrupt::listen();
    let training = Training::prepare(&request, &config, &mut Shown(path, &args.normal))?;
    let started = Instant::now();
    let (TrainedDetector { detector, dataset, .. }, status) =
        training::watched(&config, |watch| training.run(watch))?;
    let seconds = started.elapsed().as_secs_f64();
    let folder = &RunFolder::at(out);
    let file = folder.detector();

    if args.json.json {
        output::json(&json!({
            "detector": file.to_string_lossy(),
            "split": folder.split().to_string_lossy(),
            "duration_secs": seconds,
            "info": card::describe(&file, &detector)?,
        }))?;
    } else {
        let mut rows = vec![
            ("duration", output::duration(seconds)),
            ("weights", card::weights(&detector)),
            ("scorer", detector.config().scorer.clone()),
            ("threshold", output::number(detector.calibration().threshold)),
            ("promise", detector.calibration().promise.to_string()),
        ];
        rows.extend(card::volumes(&detector).map(|volumes| ("volumes", volumes)));
        rows.extend([
            ("detector", file.display().to_string()),
            ("split", folder.split().display().to_string()),
        ]);
        output::data(&output::aligned(&rows))?;
        output::hint(&next(&dataset, path, &args.normal, folder));
    }
    if let Some(warning) = weak(&detector.scorer()?.weights()) {
        output::warning(&warning);
    }
    Ok(status)
}

/// What to say where no evidence finds synthetic anomalies: real ones will hardly be found either.
fn weak(weights: &[EvidenceWeight]) -> Option<String> {
    /// AUROC that at least one piece of evidence should reach.
    const USEFUL: f64 = 0.6;
    let best = weights.iter().max_by(|a, b| a.synthetic_auroc.total_cmp(&b.synthetic_auroc))?;
    (best.synthetic_auroc < USEFUL).then(|| {
        format!(
            "no evidence tells synthetic anomalies from normal images well (the best, {}, with an AUROC of {:.2}): expect \
             few anomalies to be found; more normal images, a larger --size or more epochs may help",
            best.measurement, best.synthetic_auroc
        )
    })
}

fn settings(args: &TrainArgs, request: Option<&TrainingRequest>) -> Result<CheckedConfig, CommandError> {
    let mut flags = args.settings.clone();
    if let Some(policy) = policy(args) {
        flags.set.push(format!("split.policy={policy}"));
    }
    flags.resolve(&args.model, request.and_then(TrainingRequest::kept_settings).as_deref())
}

/// The training that is asked for; `None` without data or a run folder.
fn request(args: &TrainArgs) -> Option<TrainingRequest> {
    args.data.as_ref()?;
    Some(TrainingRequest {
        out: Some(args.out.clone()?),
        claim: claim(args),
        split: args.split.clone().filter(|_| policy(args).is_none()),
        fold: args.fold,
    })
}

/// How a split is made, where none is given.
fn policy(args: &TrainArgs) -> Option<&str> {
    args.split.as_deref().and_then(Path::to_str).filter(|word| ["pool", "layout"].contains(word))
}

fn claim(args: &TrainArgs) -> Claim {
    match (args.resume, args.force) {
        (true, _) => Claim::Resume,
        (_, true) => Claim::Replace,
        _ => Claim::New,
    }
}

/// The command that the user will want next.
fn next(dataset: &Dataset, path: &Path, how: &NormalArgs, folder: &RunFolder) -> String {
    let detector = output::typed(&folder.detector());
    if dataset.counts().1 == 0 {
        return format!("aberra score {detector} NEW_IMAGES");
    }
    let mut normal: String =
        how.normal.iter().map(|class| format!(" --normal {}", output::typed(Path::new(class)))).collect();
    let ways = [(how.pages, " --pages"), (how.volumes, " --volumes"), (how.cases, " --cases")];
    ways.iter().filter(|(is_given, _)| *is_given).for_each(|(_, flag)| normal += flag);
    let split = output::typed(&folder.split());
    format!("aberra evaluate {detector} {}{normal} --split {split}", output::typed(path))
}

/// Parses `I/K`, with I from 1.
fn fold(text: &str) -> Result<Fold, String> {
    let expected = || format!("expected I/K such as 1/5, with I from 1 to K, found {text:?}");
    let (index, of) = text.split_once('/').ok_or_else(expected)?;
    match (index.parse::<usize>(), of.parse::<usize>()) {
        (Ok(index), Ok(of)) if (1..=of).contains(&index) && of > 1 => Ok(Fold { index: index - 1, of }),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_whose_best_evidence_is_weak_is_warned_of() {
        let weight = |measurement: &str, synthetic_auroc| EvidenceWeight {
            measurement: measurement.to_owned(),
            weight: 0.5,
            synthetic_auroc,
        };
        let text = weak(&[weight("vae.kl", 0.48), weight("vae.peak_error", 0.55)]).unwrap();
        assert!(text.contains("vae.peak_error, with an AUROC of 0.55"), "{text}");
        assert_eq!(weak(&[weight("vae.kl", 0.48), weight("vae.peak_error", 0.7)]), None);
        assert_eq!(weak(&[]), None);
    }
}
