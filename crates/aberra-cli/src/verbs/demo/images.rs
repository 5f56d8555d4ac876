//! The demonstration on images.

use std::ops::ControlFlow;
use std::time::Instant;

use aberra::dataset::{Dataset, Split, SplitSettings};
use aberra::evaluate::Evaluation;
use aberra::explain::sheet_png;
use aberra::models::measure::Want;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::report::RunSource;
use aberra::run::RunFolder;
use aberra::{Detector, TrainedDetector, Training, TrainingRequest, Verdict};
use serde_json::json;

use super::setup::{DemoArgs, folder, settings};
use crate::args::NormalArgs;
use crate::data::Shown;
use crate::error::{CommandError, CommandResult};
use crate::steps::{card, evaluation, reporting, training};
use crate::{interrupt, output};

/// Width and height of the images.
const SIZE_PX: usize = 128;
/// Number of training images, unless another is given.
const NORMALS: usize = 600;
/// Number of test images without a lesion.
const TEST_NORMALS: usize = 60;
/// Number of test images of each kind of lesion.
const LESIONS_PER_KIND: usize = 8;
/// Number of images on the contact sheet, without and with a lesion.
const SHOWN: [usize; 2] = [4, 8];
/// Columns of the contact sheet, and the factor by which images are enlarged.
const SHEET_COLUMNS: usize = 2;
const SHEET_ENLARGEMENT: usize = 2;

pub(crate) fn run(args: &DemoArgs) -> CommandResult {
    interrupt::listen();
    let started = Instant::now();
    let config = settings(args, SIZE_PX, SplitSettings::default().test_share)?;
    let folder = folder(args)?;
    let pictures = folder.join("phantoms");
    output::note(&format!("generating phantoms in {}", pictures.display()));
    let phantoms = PhantomDataset {
        seed: args.seed,
        size_px: SIZE_PX,
        train_normals: args.normals.unwrap_or(NORMALS),
        test_normals: TEST_NORMALS,
        anomalies_per_kind: LESIONS_PER_KIND,
    };
    RunFolder::mark(&folder)?;
    write_dataset(&pictures, &phantoms)?;
    let run = RunFolder::at(&folder.join("run"));
    let request = TrainingRequest::new(run.path().to_owned());
    let training = Training::prepare(&request, &config, &mut Shown(&pictures, &NormalArgs::default()))?;
    let (trained, status) = training::watched(&config, |watch| training.run(watch))?;
    let TrainedDetector { detector, dataset, split, .. } = &trained;
    let file = run.detector();

    let evaluated =
        evaluation::measure(detector, &pictures, &NormalArgs::default(), Some(&run.split()), true)?;
    evaluation::write(&evaluated, &folder)?;
    let sheet = folder.join("pictures.png");
    aberra::output::write(&sheet, &draw(detector, dataset, split)?)?;
    let page = folder.join("report.html");
    let source = RunSource::Given(run.path());
    reporting::make(detector, &file, &pictures, &NormalArgs::default(), &evaluated, source, &[])?
        .save(&page)?;
    let seconds = started.elapsed().as_secs_f64();

    if args.json.json {
        output::json(&json!({
            "folder": folder.to_string_lossy(),
            "pictures": sheet.to_string_lossy(),
            "report": page.to_string_lossy(),
            "detector": file.to_string_lossy(),
            "duration_secs": seconds,
            "info": card::describe(&file, detector)?,
            "evaluation": summary(&evaluated),
        }))?;
    } else {
        output::data(evaluated.to_string().trim_end())?;
        output::data("")?;
        output::data(&output::aligned(&[
            ("duration", output::duration(seconds)),
            ("pictures", format!("{} (network input | reconstruction | map)", sheet.display())),
            ("report", format!("{} (open it in a browser)", page.display())),
            ("detector", file.display().to_string()),
        ]))?;
        output::hint(
            "continue with your own images: aberra doctor FOLDER, then aberra train FOLDER --out runs/first",
        );
    }
    Ok(status)
}

/// The evaluation without its rows of images.
fn summary(evaluation: &Evaluation) -> serde_json::Value {
    let mut value = json!(evaluation);
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove("images");
    }
    value
}

/// Draws a few test images, without and with a lesion, beside their reconstructions and error maps.
fn draw(detector: &Detector, dataset: &Dataset, split: &Split) -> Result<Vec<u8>, CommandError> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (wants_normal, count) in [true, false].into_iter().zip(SHOWN) {
        let of_kind: Vec<usize> = (split.test.iter().copied())
            .filter(|&index| dataset.samples[index].label.is_normal() == wants_normal)
            .collect();
        // Spread over the list, so that every kind of lesion appears.
        let step = (of_kind.len() / count.max(1)).max(1);
        let paths =
            of_kind.iter().step_by(step).take(count).map(|&index| dataset.samples[index].path.clone());
        let limits = detector.config().limits;
        detector.score_files(paths, &limits, count, Want::ALL, |_, verdict| {
            verdicts.extend(verdict);
            ControlFlow::Continue(())
        });
    }
    let shown: Vec<&Verdict> = verdicts.iter().collect();
    Ok(sheet_png(&shown, detector.pixel_threshold(), SHEET_COLUMNS, SHEET_ENLARGEMENT)?)
}
