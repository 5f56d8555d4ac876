//! Measures quality on real anomalies: grouped folds, each trained, fitted and calibrated on the other groups' normals and
//! tested on all images of its own groups and of the groups of anomalies, each group's weight shared out. Every run is a look at real
//! anomalies and adds a line to `bench/looks.jsonl`.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write;
use std::path::PathBuf;

use crate::grouped::{Grouped, Result, config, note, result};
use aberra::Detector;
use aberra::dataset::Split;
use aberra::image::read;
use aberra::metrics::bootstrap::{BootstrapSettings, GroupedLabels, Interval, bootstrap};
use aberra::metrics::ranking::auroc;
use aberra::metrics::weights::group_weights;
use clap::Args;
use rayon::prelude::*;

/// Measure quality on grouped folds, against real anomalies.
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
    #[arg(long, value_delimiter = ',', default_value = "0,1,2,3,4")]
    folds: Vec<usize>,
    /// What the look is for; written down.
    #[arg(long)]
    why: String,
    /// The date, written down.
    #[arg(long)]
    date: String,
    /// Where the detectors are kept.
    #[arg(long)]
    out: PathBuf,
}

/// The images of a test part: labels, groups and a score by each scorer.
struct Scored {
    anomalous: Vec<bool>,
    groups: Vec<u64>,
    /// The images of a group and class share a weight of 1.
    weights: Vec<f64>,
    scores: Vec<(String, Vec<f64>)>,
}

/// Runs the measurement.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = config(&arguments.set)?;
    let grouped = Grouped::open(&arguments.data, &arguments.normal, &config)?;
    create_dir_all(&arguments.out)?;
    let mut folds = Vec::new();
    let mut pooled: Vec<(String, Vec<f64>)> = Vec::new();
    let mut all = Vec::new();
    for &fold in &arguments.folds {
        let split = grouped.fold(&config, fold, 5)?;
        note(&split.display(&grouped.dataset).to_string());
        let (detector, secs) = grouped.train(&config, &split, None)?;
        detector.save(&arguments.out.join(format!("fold-{fold}.aberra")))?;
        let scored = score(&grouped, &detector, &split)?;
        let own = scored.of(&config.scorer)?;
        let mut figures = serde_json::Map::new();
        for (name, scores) in &scored.scores {
            let value = auroc(scores, &scored.anomalous, Some(&scored.weights));
            figures.insert(name.clone(), serde_json::json!(value));
            match pooled.iter_mut().find(|(pooled, _)| pooled == name) {
                Some((_, values)) => values.extend(value),
                None => pooled.push((name.clone(), value.into_iter().collect())),
            }
        }
        let difference = difference_to_mse(&[&scored], &config.scorer)?;
        let normals = scored.anomalous.iter().filter(|&&anomalous| !anomalous).count();
        let alarms = own
            .iter()
            .zip(&scored.anomalous)
            .filter(|&(&score, &anomalous)| !anomalous && detector.calibration().is_anomalous(score));
        let fold = serde_json::json!({
            "fold": fold, "normals": normals, "anomalies": scored.anomalous.len() - normals,
            "training_seconds": secs.round(), "auroc": figures, "difference_to_mse": difference,
            "false_alarms": alarms.count(), "calibration": detector.calibration().scores.len(),
        });
        result(&fold.to_string());
        folds.push(fold);
        all.push(scored);
    }
    let means: serde_json::Map<String, serde_json::Value> = pooled
        .iter()
        .map(|(name, values)| {
            (name.clone(), serde_json::json!(values.iter().sum::<f64>() / values.len() as f64))
        })
        .collect();
    let name = arguments.data.file_name().map(|name| name.to_string_lossy().into_owned());
    let look = serde_json::json!({
        "date": arguments.date, "what": arguments.why, "data": name, "set": arguments.set, "seed": config.seed,
        "mean_auroc": means, "difference_to_mse": difference_to_mse(&all.iter().collect::<Vec<_>>(), &config.scorer)?,
        "folds": folds,
    });
    let mut looks = OpenOptions::new().create(true).append(true).open("bench/looks.jsonl")?;
    writeln!(looks, "{look}")?;
    result(&look["mean_auroc"].to_string());
    result(&look["difference_to_mse"].to_string());
    Ok(())
}

impl Scored {
    fn of(&self, name: &str) -> Result<&[f64]> {
        let found = self.scores.iter().find(|(scorer, _)| scorer == name);
        Ok(found.map(|(_, scores)| scores.as_slice()).ok_or("the scorer could not be fitted")?)
    }
}

/// Mean over folds of AUROC(own) - AUROC(mse), with the interval over resampled groups; a group of anomalies that several
/// folds test is drawn for all of them at once.
fn difference_to_mse(folds: &[&Scored], own: &str) -> Result<Option<Interval>> {
    let mut images = Vec::new();
    for (fold, scored) in folds.iter().enumerate() {
        let pairs = scored.of(own)?.iter().zip(scored.of("mse")?);
        images.extend(pairs.map(|(&own, &mse)| (fold, own, mse)));
    }
    let anomalous: Vec<bool> = folds.iter().flat_map(|scored| scored.anomalous.clone()).collect();
    let groups: Vec<u64> = folds.iter().flat_map(|scored| scored.groups.clone()).collect();
    let positions: Vec<f64> = (0..images.len()).map(|position| position as f64).collect();
    let weights: Vec<f64> = folds.iter().flat_map(|scored| scored.weights.clone()).collect();
    let metric = |positions: &[f64], anomalous: &[bool], _: Option<&[f64]>| {
        let mut sum = 0.0;
        for fold in 0..folds.len() {
            let drawn = || positions.iter().map(|&position| images[position as usize]).zip(anomalous);
            let members = || drawn().filter(|((of, _, _), _)| *of == fold);
            let labels: Vec<bool> = members().map(|(_, &anomalous)| anomalous).collect();
            let own: Vec<f64> = members().map(|((_, own, _), _)| own).collect();
            let mse: Vec<f64> = members().map(|((_, _, mse), _)| mse).collect();
            let shares: Vec<f64> = positions
                .iter()
                .map(|&position| position as usize)
                .filter(|&position| images[position].0 == fold)
                .map(|position| weights[position])
                .collect();
            sum += auroc(&own, &labels, Some(&shares))? - auroc(&mse, &labels, Some(&shares))?;
        }
        Some(sum / folds.len() as f64)
    };
    let labels = GroupedLabels { anomalous: &anomalous, groups: &groups, weights: None };
    Ok(bootstrap(&positions, labels, BootstrapSettings::default(), metric))
}

fn score(grouped: &Grouped, detector: &Detector, split: &Split) -> Result<Scored> {
    let limits = detector.config().limits;
    let mut evidence = Vec::new();
    for samples in split.test.chunks(64) {
        let images: std::result::Result<Vec<_>, aberra::image::Error> =
            grouped.paths(samples).par_iter().map(|path| read(path, &limits)).collect();
        for verdict in detector.score(&images?) {
            evidence.push(verdict?.evidence);
        }
    }
    let mut scores = Vec::new();
    for scorer in detector.fitted_scorers() {
        let of_all = evidence.iter().map(|evidence| detector.score_by(scorer, evidence)).collect();
        scores.push((scorer.name().to_owned(), of_all));
    }
    let is_anomalous = |&sample: &usize| !grouped.dataset.samples[sample].label.is_normal();
    let anomalous: Vec<bool> = split.test.iter().map(is_anomalous).collect();
    let groups: Vec<u64> = split.test.iter().map(|&sample| split.group_of[sample] as u64).collect();
    Ok(Scored { weights: group_weights(&groups, &anomalous), anomalous, groups, scores })
}
