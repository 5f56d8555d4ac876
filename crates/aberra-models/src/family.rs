//! The interface of families, kinds of detectors that can be fitted. Each is one file in `families` and one line in its
//! list.

use std::sync::Arc;

use aberra_metrics::{Error, Result};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backbone::Platform;
use crate::inputs::Inputs;
use crate::member::{Member, SharedMember};
use crate::network::Precision;
use crate::shape::Shape;
use crate::tensors::Tensors;
use crate::train::{FitContext, Trainable, Trained, train};

/// Settings of a family by name, as in a file.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// A kind of detector that can be fitted.
pub trait Family: Sync {
    /// The name used in settings and on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in one line.
    fn about(&self) -> &'static str;

    /// Its named settings, at least one.
    fn presets(&self) -> &'static [Preset];

    /// The name of the preset that is used by default.
    fn default_preset(&self) -> &'static str {
        self.presets()[0].name
    }

    /// The JSON Schema of its settings.
    fn schema(&self) -> serde_json::Value;

    /// Checks settings against the shape of the network input, fills in what is missing, and settles the precision `auto` by
    /// what it means on this machine (`auto`, where that is given), so that a detector holds what it was fitted with.
    ///
    /// # Errors
    /// A setting that does not exist, is out of its range or does not fit the shape.
    fn resolve(&self, settings: &Settings, shape: Shape, auto: Option<Precision>) -> Result<Settings>;

    /// Whether its inputs may have channels that are no colours. One that knows grey and colours alone is fitted to each of such
    /// channels by itself.
    fn takes_any_channels(&self) -> bool {
        true
    }

    /// Whether held-out normals play no part in its fit: it is then fitted again, to the training and the held-out normals
    /// together, once the scorers have been fitted to evidence on images that it had not seen.
    fn ignores_held_out(&self) -> bool {
        false
    }

    /// Fits a member to training normals, watching held-out ones. The settings are resolved.
    ///
    /// # Errors
    /// Settings out of range, too few normals, a fit that diverges, or a stop on request.
    fn fit(
        &self,
        settings: &Settings,
        context: &mut FitContext<'_>,
        train: &Inputs<'_>,
        held_out: &Inputs<'_>,
    ) -> Result<Fitted>;

    /// A member whose network has weights from elsewhere, as they are; the normals are those that it keeps beside them.
    ///
    /// # Errors
    /// A family that takes none, weights that do not fit the settings, values that are not finite.
    fn adopt(
        &self,
        settings: &Settings,
        weights: Tensors,
        platform: &Platform,
        normals: &Inputs<'_>,
    ) -> Result<Fitted> {
        let _ = (settings, weights, platform, normals);
        Err(Error::settings(format!("the family {} takes no weights from elsewhere", self.name())))
    }

    /// A member from its [tensors](crate::Member::tensors).
    ///
    /// # Errors
    /// Settings out of range; a tensor that is missing, left over, of another shape or not finite.
    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember>;
}

/// Named settings of a family.
pub struct Preset {
    /// The name used in settings and on the command line.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// The side of the square network input that it is for, in pixels, which is the default with it; `None` where any will do.
    pub size_px: Option<usize>,
    /// The settings.
    pub settings: fn() -> Settings,
}

/// A fitted member, and how it was found.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The member.
    pub member: SharedMember,
    /// Epochs after which its weights were taken; 0 for a family that does not train in epochs.
    pub epoch: usize,
    /// The standardised mean shift then, where it chose the weights.
    pub standardized_shift: Option<f64>,
}

impl Fitted {
    /// A member of a family that does not train in epochs.
    pub fn at_once(member: impl Member + 'static) -> Self {
        Self { member: Arc::new(member), epoch: 0, standardized_shift: None }
    }

    /// A member whose network the shared loop trains: `finish` applied to the best checkpoint's weights.
    ///
    /// # Errors
    /// As [`train`], and as `finish`.
    pub(crate) fn by_training<M: Trainable>(
        network: M,
        context: &mut FitContext<'_>,
        inputs: &Inputs<'_>,
        held_out: &Inputs<'_>,
        finish: &dyn Fn(M) -> Result<SharedMember>,
    ) -> Result<Self> {
        let Trained { model, epoch, standardized_shift } = train(network, context, inputs, held_out, finish)?;
        Ok(Self { member: finish(model)?, epoch, standardized_shift })
    }
}

/// The family called `name` among `families`.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn find<'a>(families: &[&'a dyn Family], name: &str) -> Result<&'a dyn Family> {
    families.iter().copied().find(|family| family.name() == name).ok_or_else(|| {
        let names: Vec<&str> = families.iter().map(|family| family.name()).collect();
        Error::settings(format!("model.family: expected one of {}, found {name:?}", names.join(", ")))
    })
}

/// The settings of one of a family's presets.
///
/// # Errors
/// The name is unknown; the message lists the known ones.
pub fn preset(family: &dyn Family, name: &str) -> Result<Settings> {
    let found = family.presets().iter().find(|preset| preset.name == name);
    found.map(|preset| (preset.settings)()).ok_or_else(|| {
        let names: Vec<&str> = family.presets().iter().map(|preset| preset.name).collect();
        Error::settings(format!(
            "model.preset: expected one of {} for the family {}, found {name:?}",
            names.join(", "),
            family.name()
        ))
    })
}

/// Settings as a family's own type: those given, over the type's default.
///
/// # Errors
/// A setting that does not exist, or whose value is of another type.
pub fn parse<T: Serialize + DeserializeOwned + Default>(settings: &Settings) -> Result<T> {
    let mut whole = to_settings(&T::default());
    for (name, value) in settings {
        let Some(known) = whole.get_mut(name) else {
            let names: Vec<&str> = whole.keys().map(String::as_str).collect();
            return Err(Error::settings(format!(
                "model.{name}: expected one of the settings {}, found {name:?}",
                names.join(", ")
            )));
        };
        *known = value.clone();
    }
    serde_json::from_value(whole.into()).map_err(|error| {
        // The one that does not parse alone either.
        let is_wrong = |name: &&String| {
            let mut alone = to_settings(&T::default());
            alone.insert((*name).clone(), settings[*name].clone());
            serde_json::from_value::<T>(alone.into()).is_err()
        };
        let name = settings.keys().find(is_wrong).map_or_else(String::new, |name| format!(".{name}"));
        Error::settings(format!("model{name}: {error}"))
    })
}

/// Settings by name from a family's own type.
pub fn to_settings<T: Serialize>(settings: &T) -> Settings {
    match serde_json::to_value(settings) {
        Ok(serde_json::Value::Object(settings)) => settings,
        // A struct of settings serialises to an object.
        _ => Settings::new(),
    }
}

/// The JSON Schema of a family's settings, without references, so that it can be embedded in another.
pub fn schema_of<T: JsonSchema>() -> serde_json::Value {
    let settings = SchemaSettings::default().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
