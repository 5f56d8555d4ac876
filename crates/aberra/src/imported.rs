//! A model from elsewhere: weights of a network without anything that normal images tell. It gives no verdict until it is
//! calibrated on some, which makes it a detector.

use std::fs;
use std::path::Path;

use aberra_image::Color;
use aberra_metrics::calibrate::Criterion;
use aberra_models::{Settings, Shape, Tensors, pytorch};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checked_config::CheckedConfig;
use crate::config::TrainConfig;
use crate::dataset::{Dataset, Grouping, Inspection, Split};
use crate::fit::TrainOptions;
use crate::store::{self, FileKind, UNCALIBRATED};
use crate::{Detector, Error, Result};

const KIND: FileKind = FileKind { name: UNCALIBRATED, version: 1, oldest: 1 };

/// Larger files of PyTorch are not read.
const MOST_BYTES: u64 = 4 << 30;

/// A model whose weights another program has trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedModel {
    document: Document,
    weights: Tensors,
}

/// What the file holds beside weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    /// Name of the file that the weights come from, without its path.
    made_from: String,
    family: String,
    settings: Settings,
    shape: Shape,
}

impl ImportedModel {
    /// Reads a state dictionary of PyTorch (`.pth`) of the residual VAE for 256 x 256 images, which the preset `reference` of
    /// the family `vae` is. Nothing in the file is run.
    ///
    /// # Errors
    /// A file that cannot be read, is something else, or is of another model.
    pub fn read_pytorch(path: &Path) -> Result<Self> {
        let io = |error: std::io::Error| Error::io(path, &error);
        let length = fs::metadata(path).map_err(io)?.len();
        if length > MOST_BYTES {
            let text = format!("expected a model of at most {MOST_BYTES} bytes, found {length}");
            return Err(Error::detector(text).with_path(path));
        }
        let made_from = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self::from_pytorch(&made_from, &fs::read(path).map_err(io)?).map_err(|error| error.with_path(path))
    }

    /// The same of a file held in memory.
    ///
    /// # Errors
    /// As [`read_pytorch`](Self::read_pytorch), less the reading.
    pub fn from_pytorch(made_from: &str, file: &[u8]) -> Result<Self> {
        let model = pytorch::residual_vae(pytorch::read_state(file)?)?;
        let document = Document {
            made_from: made_from.to_owned(),
            family: model.family.to_owned(),
            settings: model.settings,
            shape: model.shape,
        };
        Ok(Self { document, weights: model.weights })
    }

    /// Whether the file at `path` is a model that was imported and not calibrated.
    pub fn is_one(path: &Path) -> bool {
        store::kind_of(path).is_some_and(|kind| kind == UNCALIBRATED)
    }

    /// Loads and verifies the file of an imported model.
    ///
    /// # Errors
    /// The file is missing, cut off, changed, or something else.
    pub fn load(path: &Path) -> Result<Self> {
        let stored = store::read(path, KIND)?;
        Ok(Self { document: stored.document, weights: stored.tensors })
    }

    /// Saves the model: the file is replaced atomically and durably. Returns the content's hash.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<String> {
        store::write(path, KIND, &self.document, &self.weights)
    }

    /// Name of the file that the weights come from.
    pub fn made_from(&self) -> &str {
        &self.document.made_from
    }

    /// Shape of the network input.
    pub fn shape(&self) -> Shape {
        self.document.shape
    }

    /// Number of weights.
    pub fn parameter_count(&self) -> usize {
        let trained = self.weights.iter().filter(|(name, _)| !name.contains(".running_"));
        trained.map(|(_, weight)| weight.values.len()).sum()
    }

    /// The detector of this model: the normals of a data set are divided like those of a training, into a part that is the
    /// model's reference, one that the scorers are fitted to, and one that the threshold comes from. The weights stay as they
    /// are. Which images they were trained on is not known here: normals among them make the threshold too low.
    ///
    /// # Errors
    /// A criterion that is no rate, too few normal images, weights that do not fit.
    pub fn calibrate(
        &self,
        dataset: &Dataset,
        inspection: &Inspection,
        criterion: Criterion,
    ) -> Result<Detector> {
        let config = self.config(criterion)?;
        inspection.check_normals(dataset)?;
        let grouping = Grouping::of(dataset, inspection, config.split.by)?;
        let split = Split::of(dataset, inspection, &grouping, &config.split_settings())?;
        let options = TrainOptions {
            split: Some(&split),
            inspection: Some(inspection),
            weights: Some(&self.weights),
            ..TrainOptions::default()
        };
        let mut detector = Detector::train_with(dataset, &config, options)?;
        detector.document.provenance.imported_from = Some(self.document.made_from.clone());
        Detector::from_bytes(&detector.to_bytes()?)
    }

    fn config(&self, criterion: Criterion) -> Result<CheckedConfig> {
        let Criterion::Conformal { rate, confidence } = criterion else {
            return Err(Error::settings(
                "expected a false-alarm rate for a model that was imported, found another criterion",
            )
            .with_hint("calibrate it with a rate first; the detector that it becomes takes any criterion"));
        };
        let mut model = self.document.settings.clone();
        model.insert("family".to_owned(), self.document.family.as_str().into());
        let color = if self.document.shape.channels == 1 { Color::Grey } else { Color::Rgb };
        let mut promise = json!({ "false_alarm_rate": rate });
        if let Some(confidence) = confidence {
            promise["confidence"] = confidence.into();
        }
        let settings = json!({
            "model": model,
            "preprocessing": { "size_px": self.document.shape.height, "color": color },
            "promise": promise,
            "split": { "test_share": 0.0 },
        });
        let table = toml::Table::try_from(&settings)
            .map_err(|error| Error::detector(format!("the settings of an imported model: {error}")))?;
        TrainConfig::from_layers(&[table])
    }
}
