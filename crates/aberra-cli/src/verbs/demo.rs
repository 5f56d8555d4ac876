//! `aberra demo`: the whole way on phantoms, in a folder of its own.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aberra::dataset::{Dataset, Grouping, Split};
use aberra::evaluate::Evaluation;
use aberra::explain::sheet_png;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::report::RunFolder;
use aberra::{Detector, TrainConfig, Verdict};
use clap::Args;
use serde_json::json;

use crate::args::JsonArgs;
use crate::error::{CommandError, CommandResult, ExitStatus};
use crate::settings::SettingsArgs;
use crate::steps::run_folder::{DETECTOR_FILE, SETTINGS_FILE, SPLIT_FILE};
use crate::steps::{card, evaluation, reporting, training};
use crate::{data, interrupt, output};

/// Learn from drawn, brain-like pictures, evaluate on drawn lesions, and show what came out.
#[derive(Args)]
#[command(
    after_help = "Example:\n  aberra demo --out demo/\n\nThe pictures are drawn by Aberra: no data is needed and none is fetched."
)]
pub(crate) struct DemoArgs {
    /// Where everything goes [default: a new folder among the system's temporary files].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Decides pictures and training.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Passes over the training images.
    #[arg(long, value_name = "N", default_value_t = 100)]
    epochs: usize,
    /// Training pictures to draw.
    #[arg(long, value_name = "N", default_value_t = 600)]
    normals: usize,
    #[command(flatten)]
    json: JsonArgs,
}

/// Side of the pictures and of the network input.
const SIZE_PX: usize = 64;
/// Small batches and short warm-ups: the demo's few pictures give few steps.
const BATCH_SIZE: usize = 8;
const SHORT_RUN: [&str; 3] =
    ["train.beta=0.1", "train.beta_warmup_epochs=2", "train.variance_warmup_epochs=3"];
/// Test pictures without a lesion.
const TEST_NORMALS: usize = 60;
/// Test pictures of each kind of lesion.
const LESIONS_PER_KIND: usize = 8;
/// Pictures on the sheet: without and with a lesion.
const SHOWN: [usize; 2] = [4, 8];
/// Triples beside each other on the sheet, and how much each is enlarged.
const SHEET_COLUMNS: usize = 2;
const SHEET_ENLARGEMENT: usize = 2;

pub(crate) fn run(args: &DemoArgs) -> CommandResult {
    interrupt::listen();
    let started = Instant::now();
    let config = settings(args)?;
    let folder = folder(args.out.as_deref())?;
    let (pictures, run) = (folder.join("phantoms"), folder.join("run"));
    output::note(&format!("drawing phantoms in {}", pictures.display()));
    let phantoms = PhantomDataset {
        seed: args.seed,
        size_px: SIZE_PX,
        train_normals: args.normals,
        test_normals: TEST_NORMALS,
        anomalies_per_kind: LESIONS_PER_KIND,
    };
    write_dataset(&pictures, &phantoms)?;
    let dataset = data::open(&pictures, &[])?;
    let inspection = data::inspect(&dataset, &config.limits)?;
    let grouping = Grouping::of(&dataset, &inspection, config.split.by)?;
    let split = Split::of(&dataset, &inspection, &grouping, &config.split_settings())?;
    output::note(&split.display(&dataset).to_string());
    fs::create_dir_all(&run).map_err(|error| CommandError::at(&run, error))?;
    let (file, split_file) = (run.join(DETECTOR_FILE), run.join(SPLIT_FILE));
    split.write(&split_file, &dataset, &inspection)?;
    output::write_whole(&run.join(SETTINGS_FILE), config.to_toml()?.as_bytes())?;
    training::learn(&dataset, &inspection, &split, &config, &run, false)?.save(&file)?;
    let detector = Detector::load(&file)?;

    let evaluated = evaluation::measure(&detector, &pictures, &[], Some(&split_file), true)?;
    evaluation::write(&evaluated, &folder)?;
    let sheet = folder.join("pictures.png");
    output::write_whole(&sheet, &draw(&detector, &dataset, &split)?)?;
    let page = folder.join("report.html");
    reporting::make(&detector, &file, &pictures, &[], &evaluated, RunFolder::Given(&run), &[])?
        .save(&page)?;
    let seconds = started.elapsed().as_secs_f64();

    if args.json.json {
        output::json(&json!({
            "folder": folder.to_string_lossy(),
            "pictures": sheet.to_string_lossy(),
            "report": page.to_string_lossy(),
            "detector": file.to_string_lossy(),
            "duration_secs": seconds,
            "info": card::describe(&file, &detector)?,
            "evaluation": summary(&evaluated),
        }))?;
    } else {
        output::data(evaluated.to_string().trim_end())?;
        output::data("")?;
        output::data(&output::aligned(&[
            ("done in", output::duration(seconds)),
            ("pictures", format!("{} (original | reconstruction | error map)", sheet.display())),
            ("report", format!("{} (open it in a browser)", page.display())),
            ("detector", file.display().to_string()),
        ]))?;
        output::hint("now your own images: aberra doctor FOLDER, then aberra train FOLDER --out runs/first");
    }
    Ok(ExitStatus::Done)
}

fn settings(args: &DemoArgs) -> Result<TrainConfig, CommandError> {
    let flags = SettingsArgs {
        preset: Some("small".to_owned()),
        size: Some(SIZE_PX),
        epochs: Some(args.epochs),
        batch_size: Some(BATCH_SIZE),
        seed: Some(args.seed),
        set: SHORT_RUN.map(str::to_owned).to_vec(),
        ..SettingsArgs::default()
    };
    flags.resolve(None)
}

/// A folder with nothing in it.
fn folder(out: Option<&Path>) -> Result<PathBuf, CommandError> {
    let Some(folder) = out else {
        let made = tempfile::Builder::new().prefix("aberra-demo-").tempdir();
        return Ok(made.map_err(|error| CommandError::at(&std::env::temp_dir(), error))?.keep());
    };
    fs::create_dir_all(folder).map_err(|error| CommandError::at(folder, error))?;
    let mut inside = fs::read_dir(folder).map_err(|error| CommandError::at(folder, error))?;
    match inside.next() {
        None => Ok(folder.to_owned()),
        Some(_) => Err(CommandError::at(folder, "expected an empty folder, found something in it")
            .with_hint("give another folder with --out, or none")),
    }
}

/// The evaluation without its row per image.
fn summary(evaluation: &Evaluation) -> serde_json::Value {
    let mut value = json!(evaluation);
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("images");
    }
    value
}

/// A few test pictures, without a lesion and with one, as the detector sees them.
fn draw(detector: &Detector, dataset: &Dataset, split: &Split) -> Result<Vec<u8>, CommandError> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (wants_normal, count) in [true, false].into_iter().zip(SHOWN) {
        let of_kind: Vec<usize> = (split.test.iter().copied())
            .filter(|&index| dataset.samples[index].label.is_normal() == wants_normal)
            .collect();
        // Spread over the list, so that every kind of lesion has its turn.
        let step = (of_kind.len() / count.max(1)).max(1);
        let paths =
            of_kind.iter().step_by(step).take(count).map(|&index| dataset.samples[index].path.clone());
        let limits = detector.config().limits;
        detector.score_files(paths, &limits, count, |_, verdict| {
            verdicts.extend(verdict);
            ControlFlow::Continue(())
        });
    }
    let shown: Vec<&Verdict> = verdicts.iter().collect();
    Ok(sheet_png(&shown, detector.pixel_threshold(), SHEET_COLUMNS, SHEET_ENLARGEMENT)?)
}
