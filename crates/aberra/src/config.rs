//! Everything that decides what a detector becomes: settings from a TOML file, the environment and flags, laid over the
//! preset, checked before use.

use aberra_image::{Limits, Preprocessing};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use aberra_kernels::InstructionSet;
use aberra_models::families::FAMILIES;
use aberra_models::train::TrainSettings;
use aberra_models::{Shape, find};

use crate::dataset::SplitSettings;
use crate::decode_error::of_image;
use crate::member_settings::{MemberSettings, Models};
use crate::score::{DEFAULT_SCORER, SCORERS, scorer};
use crate::{Error, Result};

/// Settings of a detector: data, preprocessing, model, training, scorer and promise.
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
    /// The model, or several: `[model]` is one member of the detector, `[[model]]` one of several. `family` names what is
    /// fitted, `preset` the settings that the others change.
    pub model: Models,
    /// Training.
    pub train: TrainSettings,
    /// What decoding refuses.
    pub limits: Limits,
    /// Whether the detector keeps small pictures of its normals. They are patient data where the images are.
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
            preprocessing: Preprocessing::default(),
            model: Models::default(),
            train: TrainSettings::default(),
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
    /// Lays tables of settings over each other, the first over the defaults and so on, and checks the result.
    ///
    /// # Errors
    /// An unknown setting, a value of the wrong type or out of its range.
    pub fn from_layers(layers: &[Table]) -> Result<Self> {
        let mut merged = Table::new();
        for layer in layers {
            merge(&mut merged, layer.clone());
        }
        let mut whole = to_table(&Self::default())?;
        // A model's settings depend on its family and preset: they are replaced whole, and filled in by the family.
        if merged.contains_key("model") {
            whole.remove("model");
        }
        merge(&mut whole, merged);
        let config: Self = whole
            .try_into()
            .map_err(|error: toml::de::Error| Error::settings(error.message().trim().to_owned()))?;
        config.check()?;
        Ok(config)
    }

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

    /// The shape of the network input that preprocessing makes.
    pub fn input_shape(&self) -> Shape {
        Shape::square(self.preprocessing.size_px, self.preprocessing.color.channels())
    }

    /// The same with what depends on the processor settled, so that a detector holds what it was fitted with.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn resolved(&self, instructions: InstructionSet) -> Result<Self> {
        let shape = self.input_shape();
        let resolve = |member: &MemberSettings| {
            let settings =
                find(FAMILIES, &member.family)?.resolve(&member.settings, shape, Some(instructions))?;
            Ok(MemberSettings { settings, ..member.clone() })
        };
        let members = self.model.members().iter().map(resolve).collect::<Result<Vec<_>>>()?;
        Ok(Self { model: Models::new(members)?, ..self.clone() })
    }

    /// How to divide a data set: the settings' own seed and promised rate go with it.
    pub fn split_settings(&self) -> SplitSettings {
        SplitSettings { seed: self.seed, rate: self.promise.false_alarm_rate, ..self.split.clone() }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// A setting out of its range, or at odds with another.
    pub fn check(&self) -> Result<()> {
        scorer(&self.scorer)?;
        self.preprocessing.validate().map_err(of_image)?;
        self.model.check(self.input_shape())?;
        self.train.check()?;
        let PromiseSettings { false_alarm_rate, confidence } = self.promise;
        let share = |name: &str, value: f64| match value > 0.0 && value < 1.0 {
            true => Ok(()),
            false => {
                Err(Error::settings(format!("promise.{name}: expected above 0 and below 1, found {value}")))
            }
        };
        share("false_alarm_rate", false_alarm_rate)?;
        confidence.map_or(Ok(()), |confidence| share("confidence", confidence))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Table {
        TrainConfig::parse_layer(text).unwrap()
    }

    #[test]
    fn no_layers_are_the_defaults() {
        assert_eq!(TrainConfig::from_layers(&[]).unwrap(), TrainConfig::default());
    }

    #[test]
    fn later_layers_win_and_the_preset_lies_below_all() {
        let file = layer("seed = 3\n[model]\npreset = \"peer\"\nlatent = 7\n[train]\nepochs = 5");
        let flag = TrainConfig::assignment_layer("train.epochs=9").unwrap();
        let config = TrainConfig::from_layers(&[file, flag]).unwrap();
        let model = &config.model.members()[0].settings;
        assert_eq!((config.seed, config.train.epochs, model["latent"].as_u64()), (3, 9, Some(7)));
        assert_eq!(model["channels"], serde_json::json!([32, 64, 128, 256]));
    }

    #[test]
    fn a_likelihood_replaces_the_presets() {
        let config =
            TrainConfig::from_layers(&[layer("[model.likelihood]\nkind = \"laplace\"\nscale = 0.1")])
                .unwrap();
        let laplace = serde_json::json!({ "kind": "laplace", "scale": 0.1 });
        assert_eq!(config.model.members()[0].settings["likelihood"], laplace);
    }

    #[test]
    fn the_environment_is_a_layer() {
        let variables =
            [("ABERRA_TRAIN__EPOCHS", "4"), ("ABERRA_SCORER", "mse"), ("ABERRA_DATA", "/x"), ("HOME", "/")];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = TrainConfig::from_layers(&[TrainConfig::environment_layer(variables)]).unwrap();
        assert_eq!((config.train.epochs, config.scorer.as_str()), (4, "mse"));
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let config = TrainConfig::default();
        assert_eq!(TrainConfig::from_layers(&[layer(&config.to_toml().unwrap())]).unwrap(), config);
    }

    #[test]
    fn nonsense_is_refused_with_what_was_expected() {
        let refused = [
            ("[train]\nepoch = 3", "epoch"),
            ("[train]\nepochs = \"many\"", "expected"),
            ("[train]\nlearning_rate = nan", "learning_rate"),
            ("[promise]\nfalse_alarm_rate = 0.0", "above 0 and below 1"),
            ("[model]\npreset = \"huge\"", "small, base, peer, reference"),
            ("[model]\npreset = \"reference\"", "256"),
            ("scorer = \"best\"", "expected one of mse"),
            ("[preprocessing]\nsize_px = 100", "multiple of 32"),
        ];
        for (text, expected) in refused {
            let message = TrainConfig::from_layers(&[layer(text)]).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn the_schema_knows_the_preset() {
        let schema = TrainConfig::json_schema().to_string();
        for word in ["\"reference\"", "false_alarm_rate", "\"vqvae\"", "commitment", "free_bits_nats"] {
            assert!(schema.contains(word), "{word}: {schema}");
        }
    }
}
