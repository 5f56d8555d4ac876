//! Reports: everything there is to see of a detector and how it does on a data set, as one self-contained page.
//!
//! [`Detector::report`] looks at every scored image of an evaluation once more and gathers what is shown; [`Report`] holds
//! it as data, writes it as a page that needs no network, and draws it as figures for a paper. It measures nothing that
//! the evaluation does not rest on, and chooses nothing.

mod choose;
mod compare;
mod curves;
#[cfg(test)]
pub(crate) mod example;
mod figures;
mod gather;
mod html;
mod latent;
mod metrics;
mod pictures;
mod summary;
mod training;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use self::choose::Candidate;
use self::compare::Other;
use self::gather::{Gather, Seen, Wanted, Wished};
use self::metrics::Scored;
pub use self::pictures::PictureFormat;
pub use self::volumes::MOST_VOLUMES;
use crate::dataset::Dataset;
use crate::detector::Detector;
use crate::evaluate::{Evaluation, ImageRow, Metric, ScoredImage};
use crate::explain::{EvidenceRanks, NEAREST, NearNormal, Pca, nearest, principal_components};
use crate::job::Job;
use crate::score::Evidence;
use crate::wire::{
    DetectorCard, EvaluationData, ImageData, NearData, ReportData, Thumbnails, TrainingData, VERSION, digits,
    short,
};
use crate::{Error, Result, output};

/// Most images that are shown in full.
pub const MOST_IN_FULL: usize = 300;
/// Bytes that all images shown in full may take together, about: larger network inputs leave room for fewer.
const BYTES_IN_FULL: f64 = 3.4e6;
/// Bytes that one pixel and channel of an image shown in full takes, about, over its three pictures.
const BYTES_PER_PIXEL: f64 = 1.6;
/// Most test images with a thumbnail.
pub const MOST_THUMBNAILS: usize = 2_000;
/// A detector whose pixel threshold is 0 marks every error: this one is white.
const LEAST_ERROR_SCALE: f64 = 1e-6;

/// Options of a report.
#[derive(Default)]
pub struct ReportOptions<'a> {
    /// The detector's name.
    pub name: &'a str,
    /// Where its training left history and snapshots.
    pub run: RunSource<'a>,
    /// Other detectors to compare with on the same images, with their names.
    pub compare: &'a [(String, Detector)],
    /// Seconds since 1970.
    pub made_at_secs: Option<u64>,
    /// The watcher of the pass over the images.
    pub job: Job<'a>,
}

/// Where a detector's training left history and snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunSource<'a> {
    /// Nowhere.
    #[default]
    None,
    /// In this folder, perhaps: where it is not so, the report says why.
    Perhaps(&'a Path),
    /// In this folder: it is an error if not.
    Given(&'a Path),
}

/// What there is to see of a detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    data: ReportData,
}

impl Report {
    /// Everything that is shown.
    pub fn data(&self) -> &ReportData {
        &self.data
    }

    /// The self-contained page.
    pub fn html(&self) -> String {
        html::page(&self.data)
    }

    /// Writes the page: the file is replaced atomically and durably. Returns its length in bytes.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<u64> {
        let page = self.html();
        output::write(path, page.as_bytes())?;
        Ok(page.len() as u64)
    }
}

impl Detector {
    /// Gathers a report on this detector from its evaluation on a data set.
    ///
    /// # Errors
    /// An evaluation of another detector or data set, images that have changed since, a given run folder that is not this
    /// detector's, a detector that cannot be compared, or a stop on request.
    pub fn report(
        &self,
        dataset: &Dataset,
        evaluation: &Evaluation,
        options: ReportOptions<'_>,
    ) -> Result<Report> {
        let ReportOptions { name, run, compare, made_at_secs, mut job } = options;
        check_detector(self, evaluation)?;
        let scored = Scored::of(evaluation);
        // Those that are in no figure of images are shown as slices of their volumes.
        let rows: Vec<(&ImageRow, &ScoredImage)> =
            evaluation.images.iter().filter_map(|row| Some((row, row.scored()?))).collect();
        let members = members(dataset, evaluation)?;
        let format = PictureFormat::of(self);
        let training = training(self, run, format)?;
        let others = compare
            .iter()
            .map(|(name, other)| Other::score(name, other, dataset, &members))
            .collect::<Result<Vec<_>>>()?;

        let counted: Vec<usize> = (0..rows.len()).filter(|&at| !rows[at].1.unmarked).collect();
        let candidates: Vec<Candidate> = scored
            .rows
            .iter()
            .map(|(row, image)| Candidate { score: image.score, anomalous: !row.label.is_normal() })
            .collect();
        let in_full = choose::in_full(&candidates, evaluation.detector.threshold, most_in_full(format));
        let as_thumbnails = choose::as_thumbnails(&candidates, &in_full, MOST_THUMBNAILS);
        let of_all = |chosen: Vec<bool>| {
            let mut all = vec![false; rows.len()];
            counted.iter().zip(chosen).for_each(|(&at, chosen)| all[at] = chosen);
            all
        };
        let (in_full, as_thumbnails) = (of_all(in_full), of_all(as_thumbnails));
        let mut weights = vec![0.0; rows.len()];
        counted.iter().zip(&scored.weights).for_each(|(&at, &weight)| weights[at] = weight);
        let image_scores: Vec<f64> = rows.iter().map(|(_, image)| image.score).collect();
        let volumes = volumes::judged(evaluation, dataset, &members, &image_scores);
        let as_slices = volumes::drawn(&volumes, evaluation.volumes.as_ref(), format, members.len());
        let wanted: Vec<Wanted> = (0..members.len())
            .map(|at| Wanted {
                sample: members[at],
                score: image_scores[at],
                thumbnail: as_thumbnails[at],
                pictures: match (in_full[at], as_slices[at]) {
                    (true, _) => Wished::Full,
                    (false, true) => Wished::Slice,
                    (false, false) => Wished::None,
                },
            })
            .collect();
        let error_scale_max = error_scale_max(self);
        let gather = Gather { detector: self, dataset, format, error_scale_max };
        let mut seen = gather.look(&wanted, &mut job)?;

        let near = seen
            .par_iter()
            .zip(&in_full)
            .map(|(image, in_full)| match (in_full, &image.embedding) {
                (true, Some(embedding)) => nearest(self, embedding, NEAREST),
                _ => Ok(Vec::new()),
            })
            .collect::<Result<Vec<_>>>()?;
        let shown: BTreeSet<usize> = near.iter().flatten().map(|near| near.normal).collect();
        let normals = gather.normals(&shown, &members.iter().copied().collect());
        let mut sheet = Sheet::default();
        let numbers: Vec<Option<usize>> =
            seen.iter_mut().map(|image| sheet.add(image.thumbnail.take())).collect();
        let normals: Named = normals
            .into_iter()
            .map(|(normal, (name, thumbnail))| (normal, (name, sheet.add(thumbnail))))
            .collect();

        let components = principal_components(self, latent::EXPLAINED);
        let ranks = EvidenceRanks::of(self.normals());
        let lean = members.len() > MOST_THUMBNAILS;
        let images = seen.into_iter().zip(near).enumerate().map(|(at, (seen, near))| {
            let mut image = image_data(rows[at], seen, components.as_ref().ok())?;
            (image.id, image.weight, image.thumbnail) = (at, weights[at], numbers[at]);
            image.nearest = near.iter().map(|near| near_data(near, &normals)).collect();
            if !lean || as_thumbnails[at] {
                measurements(self, &mut image, rows[at].1, &ranks);
            }
            Ok(image)
        });
        let images = images.collect::<Result<Vec<ImageData>>>()?;
        let metrics = EvaluationData {
            volumes: evaluation.volumes.as_ref().map(volumes::figures),
            ..metrics::metrics(evaluation, &scored)
        };
        let latent = match &components {
            Ok(components) => Metric::Known(latent::latent(self, components)?),
            Err(error) => Metric::new(None, error.to_string()),
        };
        Ok(Report {
            data: ReportData {
                version: VERSION,
                aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
                made_at_secs,
                summary: summary::summary(name, self, evaluation, &metrics),
                warnings: evaluation.warnings.clone(),
                detector: DetectorCard::of(self, name)?,
                measurements: self.descriptors().to_vec(),
                evaluation: metrics,
                training,
                images_in_all: images.len(),
                volumes: volumes.iter().map(|volume| volume.data(self)).collect(),
                images,
                thumbnails: sheet.draw(format)?,
                latent,
                compare: compare::compare(evaluation, &scored, &others),
                pixel_threshold: self.pixel_threshold(),
                error_scale_max,
            },
        })
    }
}

/// Names of normals and their numbers on the sheet.
type Named = BTreeMap<usize, (Option<String>, Option<usize>)>;

/// Thumbnails in the order in which they were added.
#[derive(Default)]
struct Sheet(Vec<Vec<f32>>);

impl Sheet {
    /// The number of a thumbnail on the sheet.
    fn add(&mut self, thumbnail: Option<Vec<f32>>) -> Option<usize> {
        self.0.push(thumbnail?);
        Some(self.0.len() - 1)
    }

    fn draw(&self, format: PictureFormat) -> Result<Option<Thumbnails>> {
        pictures::sheet(&self.0, format.color)
    }
}

/// The error that is shown as white in images of a detector's errors: twice the pixel threshold.
pub fn error_scale_max(detector: &Detector) -> f64 {
    (2.0 * detector.pixel_threshold()).max(LEAST_ERROR_SCALE)
}

/// As many as [`BYTES_IN_FULL`] has room for.
fn most_in_full(format: PictureFormat) -> usize {
    let values = (format.height * format.width * (format.color.channels() + 1)) as f64 / 2.0;
    MOST_IN_FULL.min((BYTES_IN_FULL / (values * BYTES_PER_PIXEL)) as usize).max(1)
}

fn check_detector(detector: &Detector, evaluation: &Evaluation) -> Result<()> {
    let (expected, found) = (detector.hash(), evaluation.detector.hash.as_deref());
    if expected == found && evaluation.detector.threshold == detector.calibration().threshold {
        return Ok(());
    }
    let short = |hash: Option<&str>| hash.map_or("none", |hash| &hash[..hash.len().min(12)]).to_owned();
    Err(Error::data(format!(
        "expected an evaluation of this detector (hash {}), found one of another (hash {})",
        short(expected),
        short(found)
    ))
    .with_hint("evaluate this detector: a threshold that was moved makes another one of it"))
}

/// The data set's samples that an evaluation scored, in its order, which is that of the data set.
fn members(dataset: &Dataset, evaluation: &Evaluation) -> Result<Vec<usize>> {
    let mut samples = dataset.samples.iter().enumerate();
    let scored = evaluation.images.iter().filter(|row| row.scored().is_some());
    let member = |row: &ImageRow| {
        let same = samples.by_ref().find(|(_, sample)| sample.name == row.name && sample.label == row.label);
        same.map(|(index, _)| index).ok_or_else(|| {
            Error::data(format!(
                "expected the images of the evaluation, found no {} that is {}",
                row.name, row.label
            ))
            .with_path(&dataset.root)
            .with_hint("give the data set that was evaluated, with the same classes as normal")
        })
    };
    scored.map(member).collect()
}

fn training(
    detector: &Detector,
    run: RunSource<'_>,
    format: PictureFormat,
) -> Result<Metric<Vec<TrainingData>>> {
    Ok(match run {
        RunSource::None => Metric::new(None, "no run folder was given"),
        RunSource::Given(folder) => Metric::Known(training::training(folder, detector, format)?),
        RunSource::Perhaps(folder) => match training::training(folder, detector, format) {
            Ok(training) => Metric::Known(training),
            Err(_) => Metric::new(None, "the run folder is not beside the detector: name it with --run"),
        },
    })
}

fn image_data(
    (row, scored): (&ImageRow, &ScoredImage),
    seen: Seen,
    components: Option<&Pca>,
) -> Result<ImageData> {
    Ok(ImageData {
        id: 0,
        name: row.name.clone(),
        kind: row.label.kind().map(str::to_owned),
        group: row.group,
        weight: 1.0,
        width: seen.width,
        height: seen.height,
        spacing_mm: seen.spacing_mm,
        score: scored.score,
        p_value: scored.p_value.map(short),
        anomalous: scored.anomalous,
        leaked: scored.leaked,
        anomalous_share: seen.anomalous_share.map(short),
        evidence: BTreeMap::new(),
        evidence_percentiles: BTreeMap::new(),
        scores: BTreeMap::new(),
        thumbnail: None,
        pca: match (components, &seen.embedding) {
            (Some(components), Some(embedding)) => latent::coordinates(components, embedding)?,
            _ => Vec::new(),
        },
        nearest: Vec::new(),
        window: seen.pictures.is_some().then_some(seen.window),
        content: seen.pictures.is_some().then_some(seen.content),
        pictures: seen.pictures,
    })
}

/// Fills in an image's evidence, its percentiles and the scores of all scorers.
fn measurements(detector: &Detector, image: &mut ImageData, scored: &ScoredImage, ranks: &EvidenceRanks) {
    let evidence: &Evidence = &scored.evidence;
    let named = || evidence.named(detector.descriptors());
    image.evidence = named().map(|(name, value)| (name.to_owned(), short(value))).collect();
    image.evidence_percentiles = named()
        .zip(ranks.percentiles(evidence))
        .filter_map(|((name, _), percentile)| Some((name.to_owned(), digits(percentile?, 4))))
        .collect();
    image.scores = scored.scores.iter().map(|(name, score)| (name.clone(), short(*score))).collect();
}

fn near_data(near: &NearNormal, normals: &Named) -> NearData {
    let (name, thumbnail) = normals.get(&near.normal).cloned().unwrap_or_default();
    NearData { distance: short(near.distance), thumbnail, name }
}
