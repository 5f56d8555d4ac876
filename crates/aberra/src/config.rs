//! Everything that decides what a detector becomes. `layers` lays settings from a TOML file, the environment and flags over
//! these defaults, `checked_config` checks them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aberra_image::{InputColor, Limits, Preprocessing, Tiles};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use aberra_models::train::TrainSettings;
use aberra_models::{Backbone, BackboneSource, Platform, Shape};

use crate::compute::Device;
use crate::dataset::SplitSettings;
use crate::member_settings::Models;
use crate::score::{DEFAULT_SCORER, SCORERS};
use crate::{Error, Result};

/// The side of the default detector's network input, in pixels. Where the model is the user's choice, it is that of
/// [`Preprocessing`].
const SIZE_PX: usize = 256;

/// Epochs of the default detector's variational autoencoder. Where the model is the user's choice, they are those of
/// [`TrainSettings`].
const EPOCHS: usize = 60;

/// Steps of training in all that few images get, whatever the model: about twenty thousand images seen, at 32 a step.
pub(crate) const LEAST_STEPS: usize = 600;

/// Settings of a detector: data, preprocessing, model, training, scorer and promise. [`check`](Self::check) turns
/// them into the [`CheckedConfig`](crate::CheckedConfig) that training takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Every random draw follows from it.
    pub seed: u64,
    /// The name of the scorer.
    #[schemars(schema_with = "scorer_schema")]
    pub scorer: String,
    /// What calibration promises.
    pub promise: PromiseSettings,
    /// How the data set is divided.
    pub split: SplitSettings,
    /// From image to network input.
    pub preprocessing: Preprocessing,
    /// The model, or several; by default those of the default detector: `[model]` is one member of the detector, `[[model]]` one of several. `family` names what is
    /// fitted, `preset` the settings that the others change.
    pub model: Models,
    /// The frozen backbone of the models that work on features of images: `efficientnet-lite0` (trained on ImageNet), `none`
    /// (learnt from generated images: no weights from elsewhere), or a safetensors file of the user's own weights of the same architecture.
    pub backbone: String,
    /// Training.
    pub train: TrainSettings,
    /// Limits of decoding.
    pub limits: Limits,
    /// Whether the detector keeps thumbnails of its normals. If the images are patient data, so are the thumbnails.
    pub keep_thumbnails: bool,
}

/// What calibration promises about false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromiseSettings {
    /// Share of normal images called anomalous.
    pub false_alarm_rate: f64,
    /// With it, the rate is held with this confidence over the draw of the calibration images; without it, on average.
    pub confidence: Option<f64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            scorer: DEFAULT_SCORER.to_owned(),
            promise: PromiseSettings::default(),
            split: SplitSettings::default(),
            preprocessing: Preprocessing {
                size_px: SIZE_PX,
                color: InputColor::Auto,
                tiles: Tiles::Auto,
                ..Preprocessing::default()
            },
            model: Models::default(),
            backbone: BackboneSource::EMBEDDED.to_owned(),
            train: TrainSettings { epochs: EPOCHS, least_steps: LEAST_STEPS, ..TrainSettings::default() },
            limits: Limits::default(),
            keep_thumbnails: false,
        }
    }
}

impl Default for PromiseSettings {
    fn default() -> Self {
        Self { false_alarm_rate: 0.05, confidence: None }
    }
}

impl TrainConfig {
    /// The settings as a TOML file.
    ///
    /// # Errors
    /// Values that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| Error::settings(error.to_string()))
    }

    /// The JSON Schema of a file of settings.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// The shape of the network input that preprocessing makes, or of each where an image has several.
    pub fn input_shape(&self) -> Shape {
        Shape::square(self.preprocessing.size_px, self.preprocessing.channel_count())
    }

    /// What members compute with: a device, and the backbone of these settings.
    ///
    /// # Errors
    /// The file of a user's own weights cannot be read, or does not hold the weights of a backbone.
    pub(crate) fn platform(&self, device: &Device) -> Result<Platform> {
        let backbone = match self.backbone.as_str() {
            BackboneSource::EMBEDDED => BackboneSource::Embedded,
            BackboneSource::GENERATED => BackboneSource::Generated,
            file => {
                let path = Path::new(file);
                let bytes = fs::read(path).map_err(|error| {
                    Error::io(path, &error).with_hint(format!(
                        "backbone: expected {}, {} or a file of weights",
                        BackboneSource::EMBEDDED,
                        BackboneSource::GENERATED
                    ))
                })?;
                let own =
                    Backbone::from_safetensors(&bytes, device).map_err(|error| error.with_path(path))?;
                BackboneSource::Own(Arc::new(own))
            }
        };
        Ok(Platform { device: device.clone(), backbone })
    }

    /// How to divide a data set: the settings' own seed and promised rate go with it.
    pub fn split_settings(&self) -> SplitSettings {
        SplitSettings { seed: self.seed, rate: self.promise.false_alarm_rate, ..self.split.clone() }
    }
}

/// The name of a scorer, with what each is.
fn scorer_schema(_: &mut SchemaGenerator) -> Schema {
    let scorers = SCORERS.iter().map(|scorer| {
        serde_json::json!({ "type": "string", "const": scorer.name(), "description": scorer.about() })
    });
    json_schema!({ "oneOf": scorers.collect::<Vec<_>>() })
}
