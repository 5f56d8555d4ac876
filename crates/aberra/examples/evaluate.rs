//! Trains on drawn slices, evaluates on drawn lesions, and moves the threshold.

use aberra::calibrate::Criterion;
use aberra::dataset::{Dataset, OpenOptions};
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::{Detector, TrainConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let slices =
        PhantomDataset { seed: 1, size_px: 32, train_normals: 60, test_normals: 20, anomalies_per_kind: 2 };
    write_dataset(folder.path(), &slices)?;
    let settings = "preprocessing.size_px = 32\ntrain.epochs = 2\nsplit.by = 'none'\n\
                    promise.false_alarm_rate = 0.1\nmodel.channels = [4, 8]";
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(settings)?])?;
    let dataset = Dataset::open(folder.path(), &OpenOptions::default())?;
    let detector = Detector::train(&dataset, &config)?;

    // Images that the detector was made from are recognised and left out.
    let evaluation = detector.evaluate(&dataset)?;
    assert!(evaluation.data.own.total() > 0);
    let auroc = evaluation.ranking.auroc.value().ok_or("both classes are there")?;
    assert!(auroc.low <= auroc.estimate && auroc.estimate <= auroc.high);

    // Another threshold, from the same calibration scores.
    let stricter = detector.calibrate(None, Criterion::at_rate(0.2))?;
    assert!(stricter.calibration().threshold <= detector.calibration().threshold);
    Ok(())
}
