//! Settings that have been checked, with the families and scorers that they name: what training takes and a detector
//! holds.

use std::fmt;
use std::ops::Deref;
use std::path::Path;

use aberra_image::{Region, RelativeRegion};
use aberra_models::network::Precision;
use aberra_models::train::CheckedTrainSettings;
use serde::{Serialize, Serializer};
use toml::Table;

use crate::catalog::Catalog;
use crate::config::{PromiseSettings, TrainConfig};
use crate::decode_error::of_image;
use crate::layers::{SettingsLayer, lay_over_defaults, with_origin};
use crate::member_settings::{MemberSettings, Models};
use crate::score::{self, Scorer};
use crate::{Error, Result};

/// Settings that have been checked. They can be read like a [`TrainConfig`], but not changed:
/// [`into_config`](Self::into_config) gives settings that can, and [`TrainConfig::check`] checks them.
///
/// ```
/// use aberra::{CheckedConfig, TrainConfig};
///
/// # fn main() -> aberra::Result<()> {
/// let config = CheckedConfig::default();
/// let other = TrainConfig { seed: 7, ..config.into_config() }.check()?;
/// assert_eq!((other.seed, other.members()[0].name.as_str()), (7, "vae"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CheckedConfig {
    /// Its models are the members' settings, whole.
    config: TrainConfig,
    members: Vec<MemberSettings>,
    training: CheckedTrainSettings,
    own_scorer: &'static dyn Scorer,
    /// Every scorer that there was to choose from.
    scorers: Vec<&'static dyn Scorer>,
}

impl TrainConfig {
    /// Lays tables of settings over each other, the first over the defaults and so on, and checks the result.
    ///
    /// # Errors
    /// An unknown setting, a value of the wrong type or out of its range; settings of a single model together with a list of
    /// several.
    pub fn from_layers(layers: &[Table]) -> Result<CheckedConfig> {
        Self::from_layers_with(layers, &Catalog::default())
    }

    /// As [`from_layers`](Self::from_layers), with the families and scorers of a catalog.
    ///
    /// # Errors
    /// As [`from_layers`](Self::from_layers).
    pub fn from_layers_with(layers: &[Table], catalog: &Catalog) -> Result<CheckedConfig> {
        let layers: Vec<SettingsLayer> = layers.iter().cloned().map(SettingsLayer::from).collect();
        lay_over_defaults(&layers)?.check_with(catalog)
    }

    /// As [`from_layers`](Self::from_layers), with errors that say where the setting came from.
    ///
    /// # Errors
    /// As [`from_layers`](Self::from_layers).
    pub fn from_sources(layers: &[SettingsLayer]) -> Result<CheckedConfig> {
        lay_over_defaults(layers)?.check().map_err(|error| with_origin(error, layers))
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// A setting out of its range, or at odds with another.
    pub fn check(self) -> Result<CheckedConfig> {
        self.check_with(&Catalog::default())
    }

    /// As [`check`](Self::check), with the families and scorers of a catalog.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_with(self, catalog: &Catalog) -> Result<CheckedConfig> {
        let own_scorer = score::find(catalog.scorers(), &self.scorer)?;
        self.preprocessing.validate().map_err(of_image)?;
        let members = self.model.parse(catalog.families(), &self.preprocessing.channels)?;
        for member in &members {
            let shape = member.shape(self.input_shape());
            member.family.resolve(&member.settings, shape, None)?;
        }
        let training = self.train.clone().check()?;
        let PromiseSettings { false_alarm_rate, confidence } = self.promise;
        let share = |name: &str, value: f64| match value > 0.0 && value < 1.0 {
            true => Ok(()),
            false => {
                Err(Error::settings(format!("promise.{name}: expected above 0 and below 1, found {value}")))
            }
        };
        share("false_alarm_rate", false_alarm_rate)?;
        confidence.map_or(Ok(()), |confidence| share("confidence", confidence))?;
        let scorers = catalog.scorers().to_vec();
        let config = Self { model: Models::of(&members), ..self };
        Ok(CheckedConfig { config, members, training, own_scorer, scorers })
    }
}

impl CheckedConfig {
    /// The settings of the members, whole, in order; at least one, and no two have the same name.
    pub fn members(&self) -> &[MemberSettings] {
        &self.members
    }

    /// The same settings, to be changed and checked again.
    pub fn into_config(self) -> TrainConfig {
        self.config
    }

    /// The same with the precision `auto` settled by what it means on this machine
    /// ([`AutoPrecision`](crate::compute::AutoPrecision)), so that a detector holds what it was fitted with. `auto` is asked for it
    /// only where a member leaves it open: the answer may take a measurement.
    ///
    /// # Errors
    /// A precision that a family does not know; those of `auto`.
    pub fn resolved(&self, auto: impl FnOnce() -> Result<Precision>) -> Result<Self> {
        let outer = self.input_shape();
        let resolved_by = |auto: Precision| -> Result<Vec<MemberSettings>> {
            let resolve = |member: &MemberSettings| {
                let settings = member.family.resolve(&member.settings, member.shape(outer), Some(auto))?;
                Ok(MemberSettings { settings, ..member.clone() })
            };
            self.members.iter().map(resolve).collect()
        };
        let [with_f32, with_bf16] = [resolved_by(Precision::F32)?, resolved_by(Precision::Bf16)?];
        let is_open = with_f32.iter().zip(&with_bf16).any(|(one, other)| one.settings != other.settings);
        let members = if is_open && auto()? == Precision::Bf16 { with_bf16 } else { with_f32 };
        Ok(self.with_members(members))
    }

    /// The same with a user's own backbone named without its folder: a detector holds its weights.
    pub(crate) fn with_backbone_named(&self) -> Self {
        let mut named = self.clone();
        if let Some(name) = Path::new(&self.backbone).file_name() {
            named.config.backbone = name.to_string_lossy().into_owned();
        }
        named
    }

    /// The same for images with these channels, of whose names there are none where they are grey or colours. Models that cannot take
    /// such channels together become one for each.
    ///
    /// # Errors
    /// Settings that name others; a model that cannot be fitted to so many.
    pub(crate) fn for_channels(&self, channels: &[String]) -> Result<Self> {
        let expected = &self.preprocessing.channels;
        if expected == channels {
            return Ok(self.clone());
        }
        if !expected.is_empty() {
            let found = if channels.is_empty() { "no names".to_owned() } else { channels.join(", ") };
            return Err(Error::settings(format!(
                "preprocessing.channels: expected those of the images, {found}, found {}",
                expected.join(", ")
            ))
            .with_hint("leave the setting out: training takes the channels from the images"));
        }
        let mut config = self.config.clone();
        config.preprocessing.channels = channels.to_vec();
        config.preprocessing.validate().map_err(of_image)?;
        let families: Vec<_> = self.members.iter().map(|member| member.family).collect();
        let members = config.model.parse(&families, channels)?;
        for member in &members {
            member.family.resolve(&member.settings, member.shape(config.input_shape()), None)?;
        }
        Ok(Self { config, ..self.clone() }.with_members(members))
    }

    /// The same with further areas of images that are ignored.
    ///
    /// # Errors
    /// As [`Preprocessing::validate`](aberra_image::Preprocessing::validate).
    pub(crate) fn ignoring(&self, areas: &[RelativeRegion]) -> Result<Self> {
        let mut config = self.config.clone();
        config.preprocessing.ignore.extend(areas);
        config.preprocessing.validate().map_err(of_image)?;
        Ok(Self { config, ..self.clone() })
    }

    /// The same with its preprocessing's colours and tiles settled by normals: whether most are in colours, and their contents.
    ///
    /// # Errors
    /// A model that cannot be fitted to colours.
    pub(crate) fn settled(&self, most_in_color: bool, contents: &[Region]) -> Result<Self> {
        let preprocessing = self.config.preprocessing.settled(most_in_color, contents);
        let config = TrainConfig { preprocessing, ..self.config.clone() };
        for member in &self.members {
            member.family.resolve(&member.settings, member.shape(config.input_shape()), None)?;
        }
        Ok(Self { config, ..self.clone() })
    }

    /// The same with another seed, and with other seeds of the members that have their own.
    pub(crate) fn reseeded(&self, seed: u64, own: impl Fn(u64) -> u64) -> Self {
        let member =
            |member: &MemberSettings| MemberSettings { seed: member.seed.map(&own), ..member.clone() };
        let mut reseeded = self.with_members(self.members.iter().map(member).collect());
        reseeded.config.seed = seed;
        reseeded
    }

    fn with_members(&self, members: Vec<MemberSettings>) -> Self {
        let config = TrainConfig { model: Models::of(&members), ..self.config.clone() };
        Self { config, members, ..self.clone() }
    }

    /// Settings of training, for families.
    pub(crate) fn training(&self) -> &CheckedTrainSettings {
        &self.training
    }

    /// The scorer that gives the detector's scores.
    pub(crate) fn own_scorer(&self) -> &'static dyn Scorer {
        self.own_scorer
    }

    /// Every scorer that there was to choose from.
    pub(crate) fn scorers(&self) -> &[&'static dyn Scorer] {
        &self.scorers
    }
}

impl Deref for CheckedConfig {
    type Target = TrainConfig;

    fn deref(&self) -> &TrainConfig {
        &self.config
    }
}

impl Default for CheckedConfig {
    fn default() -> Self {
        // A test checks that the defaults pass.
        TrainConfig::default().check().unwrap_or_else(|error| unreachable!("the default settings: {error}"))
    }
}

impl PartialEq for CheckedConfig {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl fmt::Debug for CheckedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl Serialize for CheckedConfig {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.config.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Table {
        TrainConfig::parse_layer(text).unwrap()
    }

    #[test]
    fn no_layers_are_the_defaults() {
        let checked = TrainConfig::from_layers(&[]).unwrap();
        assert_eq!(checked, CheckedConfig::default());
        assert_eq!(checked.into_config(), TrainConfig::default());
    }

    #[test]
    fn later_layers_win_and_the_preset_lies_below_all() {
        let file = layer("seed = 3\n[model]\npreset = \"peer\"\nlatent = 7\n[train]\nepochs = 5");
        let flag = TrainConfig::assignment_layer("train.epochs=9").unwrap();
        let config = TrainConfig::from_layers(&[file, flag]).unwrap();
        let model = &config.members()[0].settings;
        assert_eq!((config.seed, config.train.epochs, model["latent"].as_u64()), (3, 9, Some(7)));
        assert_eq!(model["channels"], serde_json::json!([32, 64, 128, 256]));
    }

    #[test]
    fn a_preset_brings_its_size_unless_one_is_given() {
        let size = |text: &str| TrainConfig::from_layers(&[layer(text)]).unwrap().preprocessing.size_px;
        assert_eq!(size("model.preset = \"reference\""), 256);
        assert_eq!(size("model.preset = \"small\""), 64);
        assert_eq!(size("[model]\nfamily = \"autoencoder\"\npreset = \"ssim\""), 64);
        assert_eq!(size("model.family = \"vae\""), 128);
        assert_eq!(size("model.preset = \"small\"\n[preprocessing]\nsize_px = 96"), 96);
        let flags = ["model.preset=\"small\"", "preprocessing.size_px=32"];
        let flags = flags.map(|flag| TrainConfig::assignment_layer(flag).unwrap());
        assert_eq!(TrainConfig::from_layers(&flags).unwrap().preprocessing.size_px, 32);
        // Of several models, each may be for another size; and families that work on features are for any.
        assert_eq!(size("[[model]]\npreset = \"small\"\n[[model]]\nfamily = \"features\""), 128);
    }

    #[test]
    fn a_number_of_epochs_is_taken_as_given_and_a_least_number_of_steps_with_it() {
        let train = |texts: &[&str]| {
            let layers: Vec<Table> = texts.iter().map(|text| layer(text)).collect();
            TrainConfig::from_layers(&layers).unwrap().into_config().train
        };
        for model in ["", "model.family = \"vae\""] {
            let default = train(&[model]);
            // 60 images make two steps an epoch, and few epochs little; 6,000 make enough.
            assert_eq!((default.least_steps, default.epochs_over(60)), (600, 300));
            assert_eq!(default.epochs_over(6_000), default.epochs);
            let given = train(&[model, "train.epochs = 5"]);
            assert_eq!((given.least_steps, given.epochs_over(60)), (0, 5));
        }
        let both = train(&["[train]\nepochs = 5\nleast_steps = 40"]);
        assert_eq!((both.epochs, both.epochs_over(60)), (5, 20));
        assert_eq!(train(&["[train]\nepochs = 5\nleast_steps = 40", "train.epochs = 3"]).epochs_over(60), 3);
        assert_eq!(train(&["train.epochs = 3", "train.least_steps = 40"]).epochs_over(60), 20);
    }

    #[test]
    fn settings_of_one_model_and_a_list_of_several_are_not_mixed() {
        let several = layer("[[model]]\nlatent = 4\n[[model]]\nfamily = \"autoencoder\"");
        let one = TrainConfig::assignment_layer("model.latent=8").unwrap();
        let other = TrainConfig::assignment_layer("train.epochs=9").unwrap();
        for layers in
            [[several.clone(), other.clone(), one.clone()], [one.clone(), other.clone(), several.clone()]]
        {
            let error = TrainConfig::from_layers(&layers).unwrap_err();
            assert!(error.is_settings() && error.to_string().contains("found both"), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("[[model]]")));
        }
        // Lists and tables among themselves are laid over each other as ever.
        assert_eq!(TrainConfig::from_layers(&[several.clone(), other, several]).unwrap().members().len(), 2);
        let twice = TrainConfig::assignment_layer("model.latent=7").unwrap();
        assert_eq!(TrainConfig::from_layers(&[one, twice]).unwrap().members()[0].settings["latent"], 7);
    }

    #[test]
    fn a_likelihood_replaces_the_presets() {
        let config =
            TrainConfig::from_layers(&[layer("[model.likelihood]\nkind = \"laplace\"\nscale = 0.1")])
                .unwrap();
        let laplace = serde_json::json!({ "kind": "laplace", "scale": 0.1 });
        assert_eq!(config.members()[0].settings["likelihood"], laplace);
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let config = CheckedConfig::default();
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
            ("[model]\npreset = \"reference\"\n[preprocessing]\nsize_px = 128", "256"),
            ("scorer = \"best\"", "expected one of mse"),
            ("model.preset = \"base\"\n[preprocessing]\nsize_px = 100", "multiple of 32"),
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
