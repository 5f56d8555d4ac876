//! Measures the promise: one detector; the groups of normals that training and fitting never saw are divided many times into
//! calibration and test, and the realised false-alarm rate is averaged. Sees normals alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::grouped::{Grouped, Result, config, note, result};
use aberra::TrainConfig;
use aberra::calibrate::{Calibration, Criterion};
use aberra::dataset::SplitSettings;
use aberra::image::read;
use aberra::random::{Stream, generator};
use clap::Args;
use rayon::prelude::*;

/// Measure the realised false-alarm rate over many divisions into calibration and test.
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
    /// Share of the groups left for testing, so that many are unseen.
    #[arg(long, default_value_t = 0.4)]
    test_share: f64,
    /// Groups in each calibration part.
    #[arg(long, default_value_t = 59)]
    calibration: usize,
    /// Divisions.
    #[arg(long, default_value_t = 20)]
    divisions: u64,
}

/// Runs the measurement.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = config(&arguments.set)?.into_config();
    let split = SplitSettings { test_share: arguments.test_share, ..config.split };
    let config = TrainConfig { split, ..config }.check()?;
    let grouped = Grouped::open(&arguments.data, &arguments.normal, &config)?;
    let settings = config.split_settings();
    let split =
        aberra::dataset::Split::of(&grouped.dataset, &grouped.inspection, &grouped.grouping, &settings)?;
    note(&split.display(&grouped.dataset).to_string());
    let (detector, _) = grouped.train(&config, &split)?;
    // One normal of each group: images of one group are not exchangeable.
    let mut groups = BTreeSet::new();
    let of_test = grouped.normals(&split.test).into_iter();
    let of_test = of_test.filter(|&sample| groups.insert(split.group_of[sample])).collect::<Vec<_>>();
    let unseen = [&split.calibration[..], &of_test].concat();
    let mut scores = Vec::new();
    for samples in unseen.chunks(64) {
        let images: std::result::Result<Vec<_>, aberra::image::Error> =
            grouped.paths(samples).par_iter().map(|path| read(path, &config.limits)).collect();
        for verdict in detector.score(&images?) {
            scores.push(verdict?.score);
        }
    }
    let mut rates = Vec::new();
    for division in 0..arguments.divisions {
        let mut order = scores.clone();
        shuffle(&mut order, config.seed, division);
        let (calibration, test) = order.split_at(arguments.calibration);
        let calibration =
            Calibration::new(calibration, None, Criterion::at_rate(config.promise.false_alarm_rate))?;
        let alarms = test.iter().filter(|&&score| calibration.is_anomalous(score)).count();
        rates.push(alarms as f64 / test.len() as f64);
    }
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let figures = serde_json::json!({
        "unseen_groups": scores.len(), "calibration": arguments.calibration, "promised": config.promise.false_alarm_rate,
        "realised_mean": mean, "realised": rates,
    });
    result(&figures.to_string());
    Ok(())
}

fn shuffle(scores: &mut [f64], seed: u64, division: u64) {
    use rand::seq::SliceRandom;
    scores.shuffle(&mut generator(seed, Stream::Bootstrap, division));
}
