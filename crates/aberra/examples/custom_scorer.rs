//! A scorer of one's own: the root mean square of two measurements in standard deviations of the fit normals.

use aberra::dataset::{Dataset, OpenOptions};
use aberra::metrics::standardize::Standardizer;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::score::{Evidence, FittedScorer, Kind, Normals, ScorerInput, ScorerKind};
use aberra::{Detector, Part, Result, TrainConfig};
use serde::{Deserialize, Serialize};

/// Two measurements and their scales: what the scorer learns.
#[derive(Serialize, Deserialize)]
struct Views(Vec<(String, Standardizer)>);

struct RootMeanSquare;

impl ScorerKind for RootMeanSquare {
    type Parameters = Views;

    const NAME: &'static str = "root_mean_square";
    const ABOUT: &'static str = "peak error and latent distance in standard deviations, root mean square";

    fn fit(normals: &Normals<'_>) -> Result<Views> {
        let view = |name: &str| {
            let full = normals.require(Self::NAME, name)?;
            let scale = normals.standardizer(|sample| sample.get(&full))?;
            Ok((full, scale))
        };
        Ok(Views(vec![view("peak_error")?, view("neighbour_distance")?]))
    }

    fn score(parameters: &Views, sample: &ScorerInput<'_>) -> f64 {
        let squares = parameters.0.iter().map(|(name, scale)| scale.apply(sample.get(name)).powi(2));
        (squares.sum::<f64>() / parameters.0.len() as f64).sqrt()
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let slices =
        PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 0, anomalies_per_kind: 0 };
    write_dataset(folder.path(), &slices)?;
    let settings = "preprocessing.size_px = 32\ntrain.epochs = 2\nsplit.by = 'none'\n\
                    promise.false_alarm_rate = 0.1\nmodel.channels = [4, 8]";
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(settings)?])?;
    let dataset = Dataset::open(folder.path(), &OpenOptions::default())?;
    let detector = Detector::train(&dataset, &config)?;

    // Fitted on the normals that fitted the detector's own scorers; a line in `score::SCORERS` would do the same.
    let fit_normals = detector.normals().iter().filter(|normal| normal.part == Part::Fit);
    let evidence: Vec<Evidence> = fit_normals.map(|normal| normal.evidence.clone()).collect();
    let scorer = &Kind::<RootMeanSquare>::SCORER;
    let fitted = FittedScorer::fit(scorer, &Normals::new(detector.descriptors(), &evidence))?;

    let image = aberra::image::read(&dataset.samples[0].path, &config.limits)?;
    let verdict = detector.score(&[image]).remove(0)?;
    let score = fitted.score(&ScorerInput::new(detector.descriptors(), &verdict.evidence));
    assert!(score.is_finite() && score >= 0.0);
    assert_eq!(fitted.name(), "root_mean_square");
    Ok(())
}
