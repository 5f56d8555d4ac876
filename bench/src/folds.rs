//! Measures quality on real anomalies: the library's comparison of recipes on grouped folds. Every run is a look at real
//! anomalies and adds a line to `bench/looks.jsonl`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aberra::TrainConfig;
use aberra::comparison::{Comparison, ComparisonOptions, Recipe};
use aberra::dataset::{Dataset, OpenOptions};
use aberra::job::{Event, Job};
use aberra::models::families::DEFAULT_FAMILY;
use aberra::run::{Claim, RunFolder};
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
    /// Families to compare, each with its default preset.
    #[arg(long, value_delimiter = ',', default_value = DEFAULT_FAMILY)]
    families: Vec<String>,
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
        arguments.families.iter().map(|family| recipe(family, &arguments.set)).collect::<Result<Vec<_>>>()?;
    let comparison = Comparison::new(recipes, 5, arguments.seeds)?.on_folds(&arguments.folds)?;
    let dataset = Dataset::open(&arguments.data, &OpenOptions { normal: arguments.normal.clone() })?;
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

fn recipe(family: &str, settings: &[String]) -> Result<Recipe> {
    let family_first = [format!("model.family={family:?}")];
    let settings = family_first.iter().chain(settings);
    let layers = settings.map(|text| TrainConfig::assignment_layer(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(Recipe { name: family.to_owned(), config: TrainConfig::from_layers(&layers)? })
}
