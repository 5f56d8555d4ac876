//! Measures quality on real anomalies: the default detector, its members alone and what is left without each, and single
//! families, compared on grouped folds. Every run is a look at real anomalies and adds a line to `bench/looks.jsonl`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::comparison::{Comparison, ComparisonOptions, Recipe};
use aberra::dataset::{Dataset, OpenOptions};
use aberra::job::{Event, Job};
use aberra::models::families::default_members;
use aberra::run::{Claim, RunFolder};
use aberra::{Models, TrainConfig};
use clap::Args;

use crate::grouped::{Result, note_event, result};
use crate::look::{Why, look};

/// Measure quality on grouped folds, against real anomalies.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder of the data set.
    data: PathBuf,
    /// Class folders that are normal.
    #[arg(long)]
    normal: Vec<String>,
    /// Recipes to compare: `default`, `only-NAME` and `without-NAME` for a member of the default detector, or a family with
    /// its default preset.
    #[arg(long, value_delimiter = ',', default_value = "default")]
    recipes: Vec<String>,
    /// A setting of every recipe, as section.name=value.
    #[arg(long)]
    set: Vec<String>,
    /// Folds to run, of five.
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,3,4")]
    folds: Vec<usize>,
    /// Seeds of each fold.
    #[arg(long, default_value_t = 1)]
    seeds: usize,
    #[command(flatten)]
    why: Why,
    /// Where the detectors and the comparison are kept. Cells that an earlier run finished there are not run again.
    #[arg(long)]
    out: PathBuf,
}

/// Runs the measurement.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let recipes =
        arguments.recipes.iter().map(|name| recipe(name, &arguments.set)).collect::<Result<Vec<_>>>()?;
    let comparison = Comparison::new(recipes, 5, arguments.seeds)?.on_folds(&arguments.folds)?;
    let dataset = Dataset::open(
        &arguments.data,
        &OpenOptions { normal: arguments.normal.clone(), ..OpenOptions::default() },
    )?;
    let folder = RunFolder::claim(&arguments.out, Claim::Extend)?;
    let mut watch = |event: Event<'_>| {
        note_event(&event);
        ControlFlow::Continue(())
    };
    let job = Job { watch: Some(&mut watch), folder: Some(&folder), resume: true };
    let table = comparison
        .run(&dataset, ComparisonOptions { keep_detectors: true, job, ..ComparisonOptions::default() })?;
    table.write(&folder)?;
    result(&table.to_string());
    look(folder.path(), &arguments.set, &arguments.why)
}

/// A recipe by its name, with settings laid over it.
fn recipe(name: &str, settings: &[String]) -> Result<Recipe> {
    let of_family = |member: &aberra::models::Settings, family: &str| member["family"] == family;
    let mut members = default_members(false);
    let mut layers = Vec::new();
    if let Some(family) = name.strip_prefix("only-") {
        members.retain(|member| of_family(member, family));
    } else if let Some(family) = name.strip_prefix("without-") {
        members.retain(|member| !of_family(member, family));
    } else if name != "default" {
        layers.push(TrainConfig::assignment_layer(&format!("model.family={name:?}"))?);
    }
    if layers.is_empty() {
        let config = TrainConfig { model: Models::new(members), ..TrainConfig::default() };
        layers.push(TrainConfig::parse_layer(&config.to_toml()?)?);
    }
    for text in settings {
        layers.push(TrainConfig::assignment_layer(text)?);
    }
    Ok(Recipe { name: name.to_owned(), config: TrainConfig::from_layers(&layers)? })
}
