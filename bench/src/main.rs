//! Measurements of quality: `choose` compares recipes on synthetic anomalies, `folds` measures on real ones, `promise`
//! measures the realised false-alarm rate. Run them from the repository's root, in release.

mod choose;
mod disturb;
mod folds;
mod grouped;
mod promise;

use clap::Parser;

/// Measure the quality of detectors.
#[derive(Parser)]
enum Measurement {
    /// Compare recipes on synthetic anomalies in held-out normals; sees no real anomaly.
    Choose(choose::Arguments),
    /// Measure on grouped folds against real anomalies; every run is written to bench/looks.jsonl.
    Folds(folds::Arguments),
    /// Measure the realised false-alarm rate over many divisions; sees normals alone.
    Promise(promise::Arguments),
}

fn main() -> grouped::Result<()> {
    match Measurement::parse() {
        Measurement::Choose(arguments) => choose::run(&arguments),
        Measurement::Folds(arguments) => folds::run(&arguments),
        Measurement::Promise(arguments) => promise::run(&arguments),
    }
}
