//! Everything that decides what a detector becomes: settings from a TOML file, the environment and flags, laid over the
//! defaults. `checked_config` checks them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aberra_image::{Limits, Preprocessing, Tiles};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

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
    /// (random filters: no weights from elsewhere), or a safetensors file of the user's own weights of the same architecture.
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
            preprocessing: Preprocessing { size_px: SIZE_PX, tiles: Tiles::Auto, ..Preprocessing::default() },
            model: Models::default(),
            backbone: BackboneSource::EMBEDDED.to_owned(),
            train: TrainSettings { epochs: EPOCHS, ..TrainSettings::default() },
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

/// The prefix of environment variables: `ABERRA_TRAIN__EPOCHS=20` is `train.epochs = 20`.
pub const ENVIRONMENT_PREFIX: &str = "ABERRA_";

impl TrainConfig {
    /// Parses a file of settings.
    ///
    /// # Errors
    /// Text that is not TOML.
    pub fn parse_layer(text: &str) -> Result<Table> {
        text.parse()
            .map_err(|error: toml::de::Error| Error::settings(format!("not TOML: {}", error.message())))
    }

    /// The settings that environment variables hold: `ABERRA_SECTION__NAME=value`, or `ABERRA_NAME=value` at the top.
    pub fn environment_layer(variables: impl Iterator<Item = (String, String)>) -> Table {
        let known = to_table(&Self::default()).unwrap_or_default();
        let mut layer = Table::new();
        for (name, value) in variables {
            let Some(name) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            let path: Vec<String> = name.to_lowercase().split("__").map(str::to_owned).collect();
            if known.contains_key(&path[0]) {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                merge(&mut layer, setting(&path, parse_value(&value)));
            }
        }
        layer
    }

    /// One setting given as `section.name=value`.
    ///
    /// # Errors
    /// Text without an equals sign.
    pub fn assignment_layer(text: &str) -> Result<Table> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::settings(format!("expected a setting as section.name=value, found {text:?}"))
        })?;
        let path: Vec<&str> = name.trim().split('.').collect();
        Ok(setting(&path, parse_value(value.trim())))
    }

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
        Shape::square(self.preprocessing.size_px, self.preprocessing.color.channels())
    }

    /// What members compute with: a device, and the backbone of these settings.
    ///
    /// # Errors
    /// The file of a user's own weights cannot be read, or does not hold the weights of a backbone.
    pub(crate) fn platform(&self, device: &Device) -> Result<Platform> {
        let backbone = match self.backbone.as_str() {
            BackboneSource::EMBEDDED => BackboneSource::Embedded,
            BackboneSource::UNTRAINED => BackboneSource::Untrained,
            file => {
                let path = Path::new(file);
                let bytes = fs::read(path).map_err(|error| {
                    Error::io(path, &error).with_hint(format!(
                        "backbone: expected {}, {} or a file of weights",
                        BackboneSource::EMBEDDED,
                        BackboneSource::UNTRAINED
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

/// Lays tables of settings over each other, the first over the defaults and so on.
///
/// # Errors
/// An unknown setting, a value of the wrong type; settings of a single model together with a list of several.
pub(crate) fn lay_over_defaults(layers: &[Table]) -> Result<TrainConfig> {
    let mut merged = Table::new();
    for layer in layers {
        if let (Some(before), Some(model)) = (merged.get("model"), layer.get("model"))
            && before.is_array() != model.is_array()
        {
            return Err(Error::settings(
                "model: expected settings of a single model (model.NAME) or a list of several ([[model]]), found both",
            )
            .with_hint("set them in each [[model]] of the list"));
        }
        merge(&mut merged, layer.clone());
    }
    let mut defaults = TrainConfig::default();
    let own_model = merged.contains_key("model");
    if own_model {
        defaults.preprocessing = Preprocessing::default();
        defaults.train = TrainSettings::default();
    }
    let mut whole = to_table(&defaults)?;
    // A model's settings depend on its family and preset: they are replaced whole, and filled in by the family.
    if own_model {
        whole.remove("model");
    }
    merge(&mut whole, merged);
    whole.try_into().map_err(|error: toml::de::Error| Error::settings(error.message().trim().to_owned()))
}

/// The name of a scorer, with what each is.
fn scorer_schema(_: &mut SchemaGenerator) -> Schema {
    let scorers = SCORERS.iter().map(|scorer| {
        serde_json::json!({ "type": "string", "const": scorer.name(), "description": scorer.about() })
    });
    json_schema!({ "oneOf": scorers.collect::<Vec<_>>() })
}

fn to_table(config: &TrainConfig) -> Result<Table> {
    Table::try_from(config).map_err(|error| Error::settings(error.to_string()))
}

/// Lays `over` over `under`, table by table.
fn merge(under: &mut Table, over: Table) {
    for (name, value) in over {
        match (under.get_mut(&name), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => drop(under.insert(name, value)),
        }
    }
}

fn setting(path: &[&str], value: Value) -> Table {
    let (first, rest) = path.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let value = if rest.is_empty() { value } else { Value::Table(setting(rest, value)) };
    Table::from_iter([(first.to_owned(), value)])
}

/// A TOML value, or the text itself.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}
