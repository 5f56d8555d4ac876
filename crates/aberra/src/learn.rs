//! From a data set to a detector: split, train, fit the scorers, calibrate.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::calibrate::{Calibration, Criterion, pixel_threshold};
use crate::config::TrainConfig;
use crate::dataset::{Dataset, Grouping, Inspection, Sketch, Split, similarity_threshold};
use crate::detector::{Detector, Document, Normal, Part, PartSize, Provenance};
use crate::model::{Model, ModelSettings};
use crate::score::{
    ErrorMap, Evidence, FittedScorer, LatentReference, Response, SCORERS, kl_per_dimension, respond,
};
use crate::statistics::filter::median_filter_5x5;
use crate::train::{self, Inputs, Progress, Run};
use crate::{Error, Result};

/// What training may be given beside data and settings.
#[derive(Default)]
pub struct TrainOptions<'a> {
    /// A split made before; by default one is made as the settings say.
    pub split: Option<&'a Split>,
    /// What is known of the images already, so that they are not read again.
    pub inspection: Option<&'a Inspection>,
    /// Where history, samples and checkpoints go; `None` writes nothing.
    pub folder: Option<&'a Path>,
    /// Whether to go on from the folder's checkpoint.
    pub resume: bool,
    /// Told how training goes; may stop it, and a checkpoint is written first.
    pub observe: Option<&'a mut Observer<'a>>,
}

/// Is told how training goes, and may stop it.
pub type Observer<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;

/// Side of a kept thumbnail.
pub(crate) const THUMBNAIL_PX: usize = 48;

impl Detector {
    /// Learns a detector from the normals of a data set.
    ///
    /// # Errors
    /// Settings out of range, too few normals, files that cannot be read.
    pub fn train(dataset: &Dataset, config: &TrainConfig) -> Result<Self> {
        Self::train_with(dataset, config, TrainOptions::default())
    }

    /// Learns a detector from the normals of a data set, with a split, a run folder or an observer given.
    ///
    /// # Errors
    /// As [`train`](Self::train); also a run folder that cannot be written, and a stop on request.
    pub fn train_with(dataset: &Dataset, config: &TrainConfig, options: TrainOptions<'_>) -> Result<Self> {
        config.check()?;
        // The detector holds what it was trained with, and scores with it on any machine.
        let precision = config.model.precision.resolved()?;
        let config =
            &TrainConfig { model: ModelSettings { precision, ..config.model.clone() }, ..config.clone() };
        let inspected;
        let inspection = match options.inspection {
            Some(inspection) => inspection,
            None => {
                inspected = dataset.inspect(&config.limits);
                &inspected
            }
        };
        let divided;
        let split = match options.split {
            Some(split) => split,
            None => {
                let grouping = Grouping::of(dataset, inspection, config.split.by)?;
                divided = Split::of(dataset, inspection, &grouping, &config.split_settings())?;
                &divided
            }
        };
        let load = |part: &[usize], cache_bytes: usize| {
            let paths: Vec<PathBuf> = part.iter().map(|&index| dataset.samples[index].path.clone()).collect();
            Inputs::load(paths, &config.preprocessing, &config.limits, cache_bytes)
        };
        let parts =
            [(Part::Train, &split.train), (Part::Fit, &split.fit), (Part::Calibration, &split.calibration)];
        let cache_bytes = config.train.cache_mib << 20;
        let inputs = load(&split.train, cache_bytes)?;
        let held_out = load(&split.fit, usize::MAX)?;
        let calibration = load(&split.calibration, cache_bytes)?;

        let run = Run {
            model: &config.model,
            train: &config.train,
            scorer: &config.scorer,
            seed: config.seed,
            size_px: config.preprocessing.size_px,
            channels: config.preprocessing.color.channels(),
            color: config.preprocessing.color,
            folder: options.folder,
            resume: options.resume,
        };
        let mut silent = |_: Progress<'_>| ControlFlow::Continue(());
        let observe = options.observe.unwrap_or(&mut silent);
        let trained = train::train(&run, &inputs, &held_out, observe)?;

        let measure = Measure { model: &trained.model, size_px: run.size_px, channels: run.channels };
        let mut measured = Vec::new();
        for part in [&inputs, &held_out, &calibration] {
            measured.push(measure.part(part)?);
        }
        let mu: Vec<Vec<f32>> = measured.iter().flatten().map(|image| image.mu.clone()).collect();
        let reference = LatentReference::new(&mu[..inputs.len()])?;
        let evidence: Vec<Vec<Evidence>> = measured
            .iter()
            .map(|part| {
                part.par_iter().map(|image| image.evidence.with_reference(&reference, &image.mu)).collect()
            })
            .collect::<Result<_>>()?;
        let scorers = fit_scorers(&config.scorer, &evidence[1])?;
        let scorer = scorers
            .iter()
            .find(|scorer| scorer.name() == config.scorer)
            .ok_or_else(|| Error::settings(format!("there is no scorer {}", config.scorer)))?;
        let scores: Vec<f64> =
            evidence[2].iter().map(|evidence| scorer.score(evidence)).collect::<Result<_>>()?;
        let rate = config.promise.false_alarm_rate;
        let criterion = Criterion::Conformal { rate, confidence: config.promise.confidence };
        let drawn = Calibration::new(&scores, None, criterion)?;
        let maxima: Vec<f64> = measured[2].iter().map(|image| image.largest_error).collect();
        let pixel_threshold = pixel_threshold(&maxima, rate)?;

        let thumbnails = config
            .keep_thumbnails
            .then(|| measure.thumbnails([&inputs, &held_out, &calibration]))
            .transpose()?;
        let members: Vec<(Part, usize)> =
            parts.iter().flat_map(|(part, members)| members.iter().map(|&index| (*part, index))).collect();
        let fingerprint = |index| {
            let seen = inspection.get(index);
            seen.map(|seen| &seen.fingerprint).ok_or_else(|| {
                Error::data("an image of the split could not be read").with_path(&dataset.samples[index].path)
            })
        };
        let normals = members.iter().zip(evidence.iter().flatten()).map(|(&(part, index), evidence)| {
            let fingerprint = fingerprint(index)?;
            Ok(Normal { part, sketch: Sketch::of(fingerprint), evidence: *evidence })
        });
        let normals = normals.collect::<Result<Vec<_>>>()?;
        let size =
            |members: &[usize]| PartSize { images: members.len(), groups: split.groups_among(members) };
        let name = dataset.root.file_name().map(|name| name.to_string_lossy().into_owned());
        let document = Document {
            config: config.clone(),
            scorers,
            calibration: drawn,
            pixel_threshold,
            provenance: Provenance {
                aberra_version: env!("CARGO_PKG_VERSION").to_owned(),
                dataset: name.unwrap_or_default(),
                train: size(&split.train),
                fit: size(&split.fit),
                calibration: size(&split.calibration),
                parameters: trained.model.parameter_count(),
                best_epoch: trained.epoch,
                synthetic_rise: trained.synthetic_rise,
            },
            normals,
            near_copy_similarity: similarity_threshold(inspection, &split.train),
            kl_per_dimension: mean_kl(&measured[2]),
        };
        Self::assemble(document, trained.model, mu, thumbnails)
    }
}

/// Every scorer that the fit split's normals support; the detector's own must be among them.
fn fit_scorers(own: &str, normals: &[Evidence]) -> Result<Vec<FittedScorer>> {
    let mut fitted = Vec::new();
    for scorer in SCORERS {
        match FittedScorer::fit(scorer.name(), normals) {
            Ok(scorer) => fitted.push(scorer),
            Err(error) if scorer.name() == own => return Err(error),
            Err(_) => {}
        }
    }
    Ok(fitted)
}

/// The mean over images of each latent dimension's KL divergence.
fn mean_kl(images: &[Measured]) -> Vec<f64> {
    let latent = images.first().map_or(0, |image| image.kl.len());
    let mean =
        |dimension: usize| images.iter().map(|image| image.kl[dimension]).sum::<f64>() / images.len() as f64;
    (0..latent).map(mean).collect()
}

/// Measures whole parts of a data set with a trained model.
struct Measure<'a> {
    model: &'a Model,
    size_px: usize,
    channels: usize,
}

/// Images held in memory at once, so that parts larger than memory can be measured.
const CHUNK: usize = 64;

/// What is kept of one image.
struct Measured {
    mu: Vec<f32>,
    kl: Vec<f64>,
    evidence: Evidence,
    /// The largest value of the 5 x 5-median-filtered error map.
    largest_error: f64,
}

impl Measure<'_> {
    fn part(&self, inputs: &Inputs) -> Result<Vec<Measured>> {
        let mut measured = Vec::with_capacity(inputs.len());
        self.chunks(inputs, |pixels| {
            let responses = respond(self.model, pixels)?;
            let images =
                pixels.par_iter().zip(responses).map(|(pixels, response)| self.image(pixels, response));
            measured.extend(images.collect::<Result<Vec<_>>>()?);
            Ok(())
        })?;
        Ok(measured)
    }

    fn image(&self, pixels: &[f32], response: Response) -> Result<Measured> {
        let map = ErrorMap::new(pixels, self.size_px, self.channels, &response);
        let filtered = median_filter_5x5(&map.values, self.size_px, self.size_px)?;
        Ok(Measured {
            evidence: Evidence::measure(pixels, self.size_px, self.channels, &response)?,
            largest_error: filtered.iter().fold(0.0, |largest, &value| f64::max(largest, f64::from(value))),
            kl: kl_per_dimension(&response).collect(),
            mu: response.mu,
        })
    }

    fn thumbnails(&self, parts: [&Inputs; 3]) -> Result<Vec<f32>> {
        let mut thumbnails = Vec::new();
        for inputs in parts {
            self.chunks(inputs, |pixels| {
                thumbnails
                    .extend(pixels.iter().flat_map(|pixels| shrink(pixels, self.size_px, self.channels)));
                Ok(())
            })?;
        }
        Ok(thumbnails)
    }

    fn chunks(&self, inputs: &Inputs, mut each: impl FnMut(&[&[f32]]) -> Result<()>) -> Result<()> {
        for start in (0..inputs.len()).step_by(CHUNK) {
            let members: Vec<usize> = (start..(start + CHUNK).min(inputs.len())).collect();
            let pixels = members.par_iter().map(|&index| inputs.get(index)).collect::<Result<Vec<_>>>()?;
            let slices: Vec<&[f32]> = pixels.iter().map(AsRef::as_ref).collect();
            each(&slices)?;
        }
        Ok(())
    }
}

/// `[THUMBNAIL_PX, THUMBNAIL_PX, channels]`: each value the mean of the pixels it covers.
pub(crate) fn shrink(pixels: &[f32], size_px: usize, channels: usize) -> Vec<f32> {
    let range = |at: usize| {
        let (start, end) = (at * size_px / THUMBNAIL_PX, (at + 1) * size_px / THUMBNAIL_PX);
        start..end.max(start + 1).min(size_px)
    };
    let mut thumbnail = Vec::with_capacity(THUMBNAIL_PX * THUMBNAIL_PX * channels);
    for (row, column) in (0..THUMBNAIL_PX * THUMBNAIL_PX).map(|at| (at / THUMBNAIL_PX, at % THUMBNAIL_PX)) {
        for channel in 0..channels {
            let values = range(row)
                .flat_map(|y| range(column).map(move |x| pixels[(y * size_px + x) * channels + channel]));
            let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
            thumbnail.push(sum / count.max(1) as f32);
        }
    }
    thumbnail
}
