//! The demonstration on images.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use aberra::dataset::{Dataset, Split, SplitSettings};
use aberra::evaluate::Evaluation;
use aberra::explain::sheet_png;
use aberra::models::measure::Want;
use aberra::phantom::{PhantomDataset, Product, ProductDataset, write_dataset, write_products};
use aberra::report::RunSource;
use aberra::run::RunFolder;
use aberra::{Detector, TrainedDetector, Training, TrainingRequest, Verdict};
use serde_json::json;

use super::setup::{DemoArgs, Subject, folder, settings};
use crate::args::NormalArgs;
use crate::data::Shown;
use crate::error::{CommandError, CommandResult};
use crate::steps::{card, evaluation, reporting, training};
use crate::{interrupt, output};

/// Number of test images without an anomaly.
const TEST_NORMALS: usize = 60;
/// Number of test images of each kind of lesion, and of products with a defect, of all kinds together.
const LESIONS_PER_KIND: usize = 8;
const DEFECTS: usize = 40;
/// Number of images on the contact sheet, without and with an anomaly, and its columns.
const SHOWN: [usize; 2] = [4, 8];
const SHEET_COLUMNS: usize = 2;

/// What depends on the subject.
struct Plan {
    /// Folder of the data set.
    folder: &'static str,
    /// What is photographed; `None` for brains.
    product: Option<Product>,
    /// Width and height of the network input.
    size_px: usize,
    /// Number of training images, unless another is given.
    normals: usize,
    /// Factor by which images are enlarged on the contact sheet.
    enlargement: usize,
}

impl Plan {
    fn of(subject: Subject) -> Self {
        let photographs = |folder, product| Self {
            folder,
            product: Some(product),
            size_px: 256,
            normals: 300,
            enlargement: 1,
        };
        match subject {
            Subject::Brains => {
                Self { folder: "phantoms", product: None, size_px: 128, normals: 600, enlargement: 2 }
            }
            Subject::Screws => photographs("screws", Product::Screw),
            Subject::Pills => photographs("pills", Product::Pill),
            Subject::Surfaces => photographs("surfaces", Product::Surface),
        }
    }

    /// Writes the data set.
    fn write(&self, images: &Path, args: &DemoArgs) -> aberra::Result<()> {
        let (seed, train_normals) = (args.seed, args.normals.unwrap_or(self.normals));
        let (size_px, test_normals) = (self.size_px, TEST_NORMALS);
        match self.product {
            None => {
                let anomalies_per_kind = LESIONS_PER_KIND;
                let phantoms =
                    PhantomDataset { seed, size_px, train_normals, test_normals, anomalies_per_kind };
                write_dataset(images, &phantoms)
            }
            Some(product) => {
                let anomalies_per_defect = DEFECTS / product.defects().len();
                let products =
                    ProductDataset { product, seed, train_normals, test_normals, anomalies_per_defect };
                write_products(images, &products)
            }
        }
    }
}

pub(crate) fn run(args: &DemoArgs) -> CommandResult {
    interrupt::listen();
    let started = Instant::now();
    let plan = Plan::of(args.of);
    let config = settings(args, plan.size_px, SplitSettings::default().test_share)?;
    let folder = folder(args)?;
    let pictures = folder.join(plan.folder);
    output::note(&format!("generating images in {}", pictures.display()));
    RunFolder::mark(&folder)?;
    plan.write(&pictures, args)?;
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
    aberra::output::write(&sheet, &draw(detector, dataset, split, plan.enlargement)?)?;
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

/// Draws a few test images, without and with an anomaly, beside their reconstructions and error maps.
fn draw(
    detector: &Detector,
    dataset: &Dataset,
    split: &Split,
    enlargement: usize,
) -> Result<Vec<u8>, CommandError> {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for (wants_normal, count) in [true, false].into_iter().zip(SHOWN) {
        let of_kind: Vec<usize> = (split.test.iter().copied())
            .filter(|&index| dataset.samples[index].label.is_normal() == wants_normal)
            .collect();
        // Spread over the list, so that every kind of anomaly appears.
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
    Ok(sheet_png(&shown, detector.pixel_threshold(), SHEET_COLUMNS, enlargement)?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: DemoArgs,
    }

    #[test]
    fn every_product_has_images_of_each_of_its_defects() {
        for (subject, product) in
            [("screws", Product::Screw), ("pills", Product::Pill), ("surfaces", Product::Surface)]
        {
            let folder = tempfile::tempdir().unwrap();
            let Command { args } = Command::parse_from(["demo", "--of", subject, "--normals", "2"]);
            let plan = Plan::of(args.of);
            assert_eq!(plan.folder, subject);
            plan.write(folder.path(), &args).unwrap();
            let files = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
            assert_eq!(files(&folder.path().join("train/good")), 2);
            assert_eq!(files(&folder.path().join("test/good")), TEST_NORMALS);
            assert_eq!(plan.product, Some(product));
            let count = 40 / product.defects().len();
            for defect in product.defects() {
                assert_eq!(files(&folder.path().join("test").join(defect.name())), count);
                assert_eq!(files(&folder.path().join("ground_truth").join(defect.name())), count);
            }
        }
    }
}
