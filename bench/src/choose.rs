//! Compares recipes without seeing a real anomaly: trains on a data set's normals and reports, for each scorer, how far
//! it rises when synthetic anomalies are drawn into test normals that training never saw.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::grouped::{Grouped, Result, config, note, result};
use aberra::Detector;
use aberra::evaluate::metrics::standardized_rise;
use aberra::image::{Input, read};
use aberra::phantom::{SyntheticKind, draw_anomaly};
use aberra::score::{Evidence, Response, respond};
use clap::Args;
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
        let (detector, secs) = grouped.train(&config, &split, None)?;
        let normals = inputs(&grouped, &detector, &grouped.normals(&split.test))?;
        let table = rises(&detector, &normals)?;
        let name = arguments.data.file_name().map(|name| name.to_string_lossy().into_owned());
        result(&serde_json::to_string(&serde_json::json!({
            "data": name, "fold": fold, "set": arguments.set, "seconds": secs.round(), "normals": normals.len(),
            "epoch": detector.provenance().best_epoch, "rise": table,
        }))?);
    }
    Ok(())
}

fn inputs(grouped: &Grouped, detector: &Detector, samples: &[usize]) -> Result<Vec<Input>> {
    let config = detector.config();
    let inputs: std::result::Result<Vec<Input>, aberra::image::Error> = grouped
        .paths(samples)
        .par_iter()
        .map(|path| config.preprocessing.apply(&read(path, &config.limits)?))
        .collect();
    Ok(inputs?)
}

/// scorer -> how far its scores rise, over all kinds and for each kind.
fn rises(detector: &Detector, normals: &[Input]) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let (size_px, channels) = (normals[0].size_px, normals[0].channels);
    let mut pixels: Vec<Vec<f32>> = normals.iter().map(|input| input.pixels.clone()).collect();
    for input in normals {
        for &kind in SyntheticKind::ALL {
            let mut drawn = input.pixels.clone();
            let index = pixels.len() as u64;
            draw_anomaly(&mut drawn, size_px, channels, ANOMALY_SEED, index, kind);
            pixels.push(drawn);
        }
    }
    let slices: Vec<&[f32]> = pixels.iter().map(Vec::as_slice).collect();
    let responses = respond(detector.model(), &slices)?;
    let reference = detector.latent_reference();
    let measure = |(pixels, response): (&&[f32], &Response)| {
        Evidence::measure(pixels, size_px, channels, response)?.with_reference(reference, &response.mu)
    };
    let evidence = slices.par_iter().zip(&responses).map(measure).collect::<aberra::Result<Vec<_>>>()?;
    let mut table = BTreeMap::new();
    for scorer in detector.fitted_scorers() {
        let scores: Vec<f64> =
            evidence.iter().map(|evidence| scorer.score(evidence)).collect::<aberra::Result<_>>()?;
        let (without, with) = scores.split_at(normals.len());
        let mut row = BTreeMap::new();
        let mut add = |name: &str, with: &[f64]| {
            let rise = standardized_rise(without, with).map_or(f64::NAN, |rise| (rise * 1e3).round() / 1e3);
            row.insert(name.to_owned(), rise);
        };
        add("all", with);
        for (position, kind) in SyntheticKind::ALL.iter().enumerate() {
            let of_kind: Vec<f64> =
                with.iter().copied().skip(position).step_by(SyntheticKind::ALL.len()).collect();
            add(kind.name(), &of_kind);
        }
        table.insert(scorer.name().to_owned(), row);
    }
    Ok(table)
}
