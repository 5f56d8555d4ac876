//! Compares recipes without seeing a real anomaly: trains on a data set's normals and reports, for each scorer and measurement, how well
//! it tells test normals that training never saw from the same images with synthetic anomalies drawn in, and from the
//! same images disturbed as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::disturb::Disturbance;
use crate::grouped::{Grouped, Result, config, note, result};
use aberra::Detector;
use aberra::image::{Input, read};
use aberra::metrics::ranking::{auroc, standardized_rise};
use aberra::models::measure::Want;
use aberra::phantom::{SyntheticKind, draw_anomaly};
use aberra::score::Evidence;
use clap::Args;

use aberra::random::{Stream, generator};
use rayon::prelude::*;

/// Compare recipes on synthetic anomalies in held-out normals.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder of the data set.
    data: PathBuf,
    /// Class folders that are normal.
    #[arg(long)]
    normal: Vec<String>,
    /// A setting, as section.name=value.
    #[arg(long)]
    set: Vec<String>,
    /// Folds to run, of five.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    folds: Vec<usize>,
}

/// Differs from the seeds that choose checkpoints.
const ANOMALY_SEED: u64 = 0x5eed;

/// Runs the measurement.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = config(&arguments.set)?;
    let grouped = Grouped::open(&arguments.data, &arguments.normal, &config)?;
    for &fold in &arguments.folds {
        let split = grouped.fold(&config, fold, 5)?;
        note(&split.display(&grouped.dataset).to_string());
        let (detector, secs) = grouped.train(&config, &split)?;
        let normals = inputs(&grouped, &detector, &grouped.normals(&split.test))?;
        let table = compare(&detector, &normals)?;
        let epochs: Vec<usize> =
            detector.provenance().members.iter().map(|member| member.best_epoch).collect();
        let name = arguments.data.file_name().map(|name| name.to_string_lossy().into_owned());
        result(&serde_json::to_string(&serde_json::json!({
            "data": name, "fold": fold, "set": arguments.set, "seconds": secs.round(), "normals": normals.len(),
            "epochs": epochs, "scorers": table,
        }))?);
    }
    Ok(())
}

fn inputs(grouped: &Grouped, detector: &Detector, samples: &[usize]) -> Result<Vec<Input>> {
    if detector.tiling().is_some() {
        return Err("expected images of one network input: set preprocessing.tiles=none".into());
    }
    let config = detector.config();
    let inputs: std::result::Result<Vec<Input>, aberra::image::Error> = grouped
        .paths(samples)
        .par_iter()
        .map(|path| config.preprocessing.apply(&read(path, &config.limits)?))
        .collect();
    Ok(inputs?)
}

/// scorer -> its results for each kind: `rise`, the standardised mean shift of its scores when an anomaly is drawn in;
/// `drawn` and the disturbances' names, AUROC; `mean`, the mean AUROC over all kinds.
fn compare(detector: &Detector, normals: &[Input]) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let (size_px, channels) = (normals[0].height, normals[0].channels);
    let mut random = generator(ANOMALY_SEED, Stream::Lesion, 0);
    let mut pixels: Vec<Vec<f32>> = normals.iter().map(|input| input.pixels.clone()).collect();
    for (kind, input) in
        SyntheticKind::ALL.iter().flat_map(|kind| normals.iter().map(move |input| (kind, input)))
    {
        let mut drawn = input.pixels.clone();
        draw_anomaly(&mut drawn, size_px, channels, ANOMALY_SEED, pixels.len() as u64, *kind);
        pixels.push(drawn);
    }
    for (kind, input) in
        Disturbance::ALL.iter().flat_map(|kind| normals.iter().map(move |input| (kind, input)))
    {
        pixels.push(kind.apply(&input.pixels, size_px, channels, &mut random));
    }
    let drawn = pixels.into_iter().map(|pixels| Ok(Input { pixels, ..normals[0].clone() })).collect();
    let verdicts = detector.score_inputs(drawn, Want::MEASUREMENTS).into_iter();
    let evidence: Vec<Evidence> =
        verdicts.map(|verdict| verdict.map(|verdict| verdict.evidence)).collect::<aberra::Result<_>>()?;
    let mut table = BTreeMap::new();
    for scorer in detector.fitted_scorers() {
        let scores: Vec<f64> = evidence.iter().map(|evidence| detector.score_by(scorer, evidence)).collect();
        table.insert(scorer.name().to_owned(), row(&scores, normals.len()));
    }
    for (at, descriptor) in detector.descriptors().iter().enumerate() {
        let values: Vec<f64> = evidence.iter().map(|evidence| evidence.0[at]).collect();
        table.insert(descriptor.name.to_string(), row(&values, normals.len()));
    }
    Ok(table)
}

/// Results of the scores of so many normals, of these with each kind of anomaly drawn in, and of these under each disturbance.
fn row(scores: &[f64], normals: usize) -> BTreeMap<String, f64> {
    let (without, changed) = scores.split_at(normals);
    let kinds: Vec<&[f64]> = changed.chunks_exact(normals).collect();
    let (drawn, disturbed) = kinds.split_at(SyntheticKind::ALL.len());
    let found = |kind: &[f64]| {
        let labels: Vec<bool> = (0..2 * kind.len()).map(|index| index >= kind.len()).collect();
        auroc(&[without, kind].concat(), &labels, None).unwrap_or(f64::NAN)
    };
    let mean = |kinds: &[&[f64]]| kinds.iter().map(|kind| found(kind)).sum::<f64>() / kinds.len() as f64;
    let rises = drawn.iter().map(|kind| standardized_rise(without, kind).unwrap_or(f64::NAN));
    let mut row = vec![
        ("rise", rises.sum::<f64>() / drawn.len() as f64),
        ("drawn", mean(drawn)),
        ("mean", mean(&kinds)),
    ];
    row.extend(Disturbance::ALL.iter().zip(disturbed).map(|(kind, scores)| (kind.name(), found(scores))));
    row.into_iter().map(|(name, value)| (name.to_owned(), (value * 1e3).round() / 1e3)).collect()
}
