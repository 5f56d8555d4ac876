//! `aberra bench`: compares families of models on the same grouped folds with the same seeds.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::comparison::{Comparison, ComparisonOptions, Recipe};
use aberra::dataset::{Dataset, Inspection};
use aberra::job::{Event, Job};
use aberra::models::families::FAMILIES;
use aberra::run::{Claim, RunFolder};
use aberra::wire::ComparisonData;
use clap::Args;

use crate::args::{JsonArgs, NormalArgs};
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::progress::TrainingProgress;
use crate::settings::{ModelArgs, SettingsArgs};
use crate::steps::training::names;
use crate::{choices, data, interrupt, output};

const EXAMPLES: &str = "\
Examples:
  aberra bench photos/ --normal good --out runs/bench
  aberra bench photos/ --normal good --families vae,vqvae --seeds 3 \\
      --out runs/bench
  aberra bench photos/ --normal good --families vae \\
      --preset vae=small,vae=base --out runs/presets

The normals' groups are divided into folds; each model is trained on the others and tested on one, with every \
anomalous image. Every finished cell (a model, a fold, a seed) is kept in DIR: after Ctrl-C the same command \
continues. DIR also holds comparison.json and comparison.html.";

/// Compares families of models on a labelled data set: grouped folds, several seeds, confidence intervals.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Folder with one subfolder per class, or manifest (.csv, .jsonl).
    data: PathBuf,
    /// Folder of the comparison; created if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    normal: NormalArgs,
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help = choices::compared_families())]
    families: Vec<String>,
    /// Preset of a family instead of its default; repeatable, to compare several presets of one family.
    #[arg(long, value_name = "FAMILY=NAME,...", value_delimiter = ',')]
    preset: Vec<String>,
    /// Number of seeds per fold, counted up from --seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: usize,
    /// Number of folds into which the normals' groups are divided.
    #[arg(long, value_name = "K", default_value_t = 5)]
    folds: usize,
    /// Run only these folds, counted from 1.
    #[arg(long, value_name = "I,...", value_delimiter = ',')]
    only_folds: Vec<usize>,
    /// Keep the detector file of each cell.
    #[arg(long)]
    keep_detectors: bool,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(crate) fn run(args: &BenchArgs) -> CommandResult {
    let comparison = comparison(args)?;
    interrupt::listen();
    let reservation = RunFolder::reserve(&args.out, Claim::Extend)?;
    let dataset = data::open(&args.data, &args.normal)?;
    let inspection = data::inspect(&dataset, &comparison.recipes()[0].config.limits)?;
    comparison.check(&dataset, &inspection)?;
    let folder = &reservation.open()?;
    let table = compare(&comparison, &dataset, &inspection, folder, args.keep_detectors)?;
    table.write(folder)?;
    output::note(&format!("wrote comparison.json and comparison.html to {}", folder.path().display()));
    let text = if args.json.json { table.to_json() } else { table.to_string() };
    output::data(text.trim_end())?;
    let failures: Vec<&String> = table.rows.iter().flat_map(|row| &row.failures).collect();
    failures.iter().for_each(|failure| output::warning(failure));
    Ok(if failures.is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

fn comparison(args: &BenchArgs) -> Result<Comparison, CommandError> {
    let families: Vec<String> = match args.families.is_empty() {
        true => FAMILIES.iter().map(|family| family.name().to_owned()).collect(),
        false => args.families.clone(),
    };
    let presets = args.preset.iter().map(|text| preset(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some((family, _)) = presets.iter().find(|(family, _)| !families.iter().any(|one| one == family)) {
        return Err(CommandError::new(format!(
            "--preset: expected one of the compared families {}, found {family:?}",
            families.join(", ")
        )));
    }
    let mut recipes = Vec::new();
    for family in &families {
        let of_family = presets.iter().filter(|(of, _)| of == family);
        let chosen: Vec<Option<&str>> = of_family.map(|(_, preset)| Some(*preset)).collect();
        let several = chosen.len() > 1;
        for preset in if chosen.is_empty() { vec![None] } else { chosen } {
            let name = match preset.filter(|_| several) {
                Some(preset) => format!("{family}-{preset}"),
                None => family.clone(),
            };
            let model = ModelArgs { family: Some(family.clone()), preset: preset.map(str::to_owned) };
            recipes.push(Recipe { name, config: args.settings.resolve(&model, None)? });
        }
    }
    let comparison = Comparison::new(recipes, args.folds, args.seeds)?;
    match args.only_folds.is_empty() {
        true => Ok(comparison),
        false => Ok(comparison.on_folds(&from_0(&args.only_folds, args.folds)?)?),
    }
}

/// `FAMILY=NAME`.
fn preset(text: &str) -> Result<(&str, &str), CommandError> {
    text.split_once('=').ok_or_else(|| {
        CommandError::new(format!("--preset: expected FAMILY=NAME such as vae=small, found {text:?}"))
    })
}

/// Folds counted from 0.
fn from_0(folds: &[usize], of: usize) -> Result<Vec<usize>, CommandError> {
    match folds.iter().find(|fold| !(1..=of).contains(*fold)) {
        None => Ok(folds.iter().map(|fold| fold - 1).collect()),
        Some(fold) => {
            Err(CommandError::new(format!("--only-folds: expected folds from 1 to {of}, found {fold}")))
        }
    }
}

/// Compares with progress on standard error; Ctrl-C keeps the finished cells.
fn compare(
    comparison: &Comparison,
    dataset: &Dataset,
    inspection: &Inspection,
    folder: &RunFolder,
    keep_detectors: bool,
) -> Result<ComparisonData, CommandError> {
    let members = comparison.recipes().iter().map(|recipe| names(&recipe.config));
    let most = members.max_by_key(Vec::len).unwrap_or_default();
    let mut progress = TrainingProgress::new(most);
    let mut watch = |event: Event<'_>| -> ControlFlow<()> {
        match &event {
            Event::Part { name, done, of, finished_before } => {
                progress.finish();
                let before = if *finished_before { " (finished before)" } else { "" };
                output::note(&format!("{} of {of}: {name}{before}", done + 1));
            }
            Event::Images { .. } => progress.finish(),
            _ => {}
        }
        progress.watch(event)
    };
    let job = Job { folder: Some(folder), resume: true, ..Job::watched(&mut watch) };
    let options = ComparisonOptions {
        inspection: Some(inspection),
        keep_detectors,
        job,
        ..ComparisonOptions::default()
    };
    interrupt::set_training(true);
    let table = comparison.run(dataset, options);
    interrupt::set_training(false);
    progress.finish();
    Ok(table?)
}
