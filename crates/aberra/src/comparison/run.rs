//! Runs a comparison, cell by cell; what an earlier run finished is reused.

use std::collections::BTreeMap;

use aberra_metrics::bootstrap::BootstrapSettings;
use aberra_metrics::{Error, Result};

use super::cell;
use super::identity::DataDigest;
use super::plan::{Cell, Comparison};
use super::record::CellRecord;
use super::summary::{self, Done};
use crate::compute::AutoPrecision;
use crate::dataset::{Dataset, Grouping, Inspection, Split};
use crate::job::{Event, Job};
use crate::output;
use crate::run::RunFolder;
use crate::wire::ComparisonData;

/// Options of a comparison.
#[derive(Default)]
pub struct ComparisonOptions<'a> {
    /// What is known of the images already, so that they are not read again.
    pub inspection: Option<&'a Inspection>,
    /// Whether the run folder keeps each cell's detector.
    pub keep_detectors: bool,
    /// How intervals are drawn.
    pub bootstrap: BootstrapSettings,
    /// The watcher, where finished cells are kept, and whether those there are reused.
    pub job: Job<'a>,
}

impl Comparison {
    /// Makes sure that the data set supports every cell, before [`run`](Self::run).
    ///
    /// # Errors
    /// Requested groups that are missing, too few normals for the folds.
    pub fn check(&self, dataset: &Dataset, inspection: &Inspection) -> Result<()> {
        self.splits(dataset, inspection).map(drop)
    }

    /// Fits and tests every cell, and sums them up. With the job's folder each finished cell is a file there; where the
    /// job resumes, cells that were finished with the same settings, data and version of Aberra are reused.
    ///
    /// A cell that fails is a line in the table and does not stop the others.
    ///
    /// # Errors
    /// Requested groups that are missing, too few normals for the folds, a folder that cannot be written, a stop
    /// on request, or not one cell with a result.
    pub fn run(&self, dataset: &Dataset, options: ComparisonOptions<'_>) -> Result<ComparisonData> {
        let ComparisonOptions { inspection, keep_detectors, bootstrap, mut job } = options;
        let inspected;
        let inspection = match inspection {
            Some(inspection) => inspection,
            None => {
                inspected = dataset.inspect(&self.common().limits);
                &inspected
            }
        };
        let splits = self.splits(dataset, inspection)?;
        let digest = DataDigest::of(dataset, inspection);
        if let Some(folder) = job.folder {
            output::make_folder(&folder.cells())?;
        }
        let cells = self.cells();
        let (mut records, mut failures) = (Vec::new(), BTreeMap::<&str, Vec<String>>::new());
        let mut first_failure = None;
        for (done, cell) in cells.iter().enumerate() {
            let split = &splits[cell.number];
            let config = cell.config().resolved(|| Ok(AutoPrecision::of_machine()?.precision))?;
            let identity = digest.cell(&cell.recipe.name, &config, split)?;
            let file = job.folder.map(|folder| CellFile::new(folder, cell, &identity, keep_detectors));
            let before = match &file {
                Some(file) if job.resume => file.finished()?,
                _ => None,
            };
            let told = Event::Part {
                name: &cell.to_string(),
                done,
                of: cells.len(),
                finished_before: before.is_some(),
            };
            if job.tell(told).is_break() {
                return Err(stopped(done, cells.len(), file.is_some()));
            }
            if let Some(record) = before {
                records.push(record);
                continue;
            }
            let seen = (dataset, inspection);
            match cell::run(&cell.recipe.name, &config, cell.fold, split, seen, &mut job) {
                Ok((record, detector)) => {
                    if let Some(file) = &file {
                        if let Some(path) = &file.detector {
                            detector.save(path)?;
                        }
                        record.write(&file.record, &identity)?;
                    }
                    records.push(record);
                }
                Err(error) if error.is_interrupted() => {
                    return Err(stopped(done, cells.len(), file.is_some()));
                }
                Err(error) => {
                    failures.entry(&cell.recipe.name).or_default().push(format!("{cell}: {error}"));
                    first_failure.get_or_insert(error);
                }
            }
        }
        match first_failure {
            Some(error) if records.is_empty() => Err(error),
            _ => Ok(summary::summarize(
                self,
                dataset,
                inspection,
                Done { records: &records, failures: &failures },
                bootstrap,
            )),
        }
    }

    /// The split of each fold: the same for every recipe and seed.
    fn splits(&self, dataset: &Dataset, inspection: &Inspection) -> Result<Vec<Split>> {
        let common = self.common();
        let grouping = Grouping::of(dataset, inspection, common.split.by)?;
        let settings = common.split_settings();
        let split = |fold| Split::fold(dataset, inspection, &grouping, &settings, fold);
        self.folds().iter().map(|&fold| split(fold)).collect()
    }
}

/// Where a cell is kept.
struct CellFile<'a> {
    record: std::path::PathBuf,
    /// Where its detector is kept, too.
    detector: Option<std::path::PathBuf>,
    identity: &'a str,
}

impl<'a> CellFile<'a> {
    fn new(folder: &RunFolder, cell: &Cell<'_>, identity: &'a str, keep_detectors: bool) -> Self {
        /// Number of digits of the identity in the name; the file holds all of them.
        const DIGITS: usize = 16;
        let Cell { recipe, fold, seed, .. } = cell;
        let (recipe, number, of) = (&recipe.name, fold.index + 1, fold.of);
        let name = format!("{recipe}-fold-{number}-of-{of}-seed-{seed}-{}", &identity[..DIGITS]);
        let detector = keep_detectors.then(|| folder.cell_detector(&name));
        Self { record: folder.cell(&name), detector, identity }
    }

    /// The record of an earlier run, where it left everything that is to be kept.
    fn finished(&self) -> Result<Option<CellRecord>> {
        match &self.detector {
            Some(detector) if !detector.exists() => Ok(None),
            _ => CellRecord::read(&self.record, self.identity),
        }
    }
}

fn stopped(done: usize, of: usize, kept: bool) -> Error {
    let cells = format!("the comparison was stopped after {done} of {of} cells");
    Error::interrupted(match kept {
        true => format!("{cells}; they are kept, and running it again continues"),
        false => cells,
    })
}
