//! Compares recipes without seeing a real anomaly: trains on a data set's normals and reports, for each scorer, the AUROC
//! for synthetic anomalies drawn into test normals that training never saw.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::grouped::{Grouped, Result, config, note, result};
use aberra::Detector;
use aberra::evaluate::metrics::auroc;
use aberra::image::{Input, read};
use aberra::phantom::{SyntheticKind, draw_anomaly};
use aberra::score::{Evidence, respond};
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

/// Anomalies drawn into each test normal.
const ANOMALIES_PER_NORMAL: usize = 9;

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
        let table = synthetic_auroc(&detector, &normals)?;
        let name = arguments.data.file_name().map(|name| name.to_string_lossy().into_owned());
        result(&serde_json::to_string(&serde_json::json!({
            "data": name, "fold": fold, "set": arguments.set, "seconds": secs.round(), "normals": normals.len(),
            "epoch": detector.provenance().best_epoch, "auroc": table,
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

/// scorer -> AUROC over all kinds and for each kind.
fn synthetic_auroc(
    detector: &Detector,
    normals: &[Input],
) -> Result<BTreeMap<String, BTreeMap<String, f64>>> {
    let mut pixels: Vec<(Option<SyntheticKind>, Vec<f32>)> =
        normals.iter().map(|input| (None, input.pixels.clone())).collect();
    let (size_px, channels) = (normals[0].size_px, normals[0].channels);
    for (index, input) in normals.iter().enumerate() {
        for draw in 0..ANOMALIES_PER_NORMAL {
            let index = index * ANOMALIES_PER_NORMAL + draw;
            let kind = SyntheticKind::ALL[index % SyntheticKind::ALL.len()];
            let mut drawn = input.pixels.clone();
            draw_anomaly(&mut drawn, size_px, channels, ANOMALY_SEED, index as u64, kind);
            pixels.push((Some(kind), drawn));
        }
    }
    let slices: Vec<&[f32]> = pixels.iter().map(|(_, pixels)| pixels.as_slice()).collect();
    let responses = respond(detector.model(), &slices)?;
    let reference = detector.latent_reference();
    let evidence: aberra::Result<Vec<Evidence>> = slices
        .par_iter()
        .zip(&responses)
        .map(|(pixels, response)| {
            Evidence::measure(pixels, size_px, channels, response)?.with_reference(reference, &response.mu)
        })
        .collect();
    let evidence = evidence?;
    let mut table = BTreeMap::new();
    for scorer in detector.fitted_scorers() {
        let scores: Vec<f64> =
            evidence.iter().map(|evidence| scorer.score(evidence)).collect::<aberra::Result<_>>()?;
        let mut row = BTreeMap::new();
        let mut add = |name: String, wanted: &dyn Fn(SyntheticKind) -> bool| {
            let members = pixels.iter().zip(&scores).filter(|((kind, _), _)| kind.is_none_or(wanted));
            let (scores, anomalous): (Vec<f64>, Vec<bool>) =
                members.map(|((kind, _), &score)| (score, kind.is_some())).unzip();
            if let Some(value) = auroc(&scores, &anomalous) {
                row.insert(name, (value * 1e4).round() / 1e4);
            }
        };
        add("all".to_owned(), &|_| true);
        for kind in SyntheticKind::ALL {
            add(kind.name().to_owned(), &|other| other == *kind);
        }
        table.insert(scorer.name().to_owned(), row);
    }
    Ok(table)
}
