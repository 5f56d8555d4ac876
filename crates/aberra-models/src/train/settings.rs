//! Settings of training that all gradient families share, and their check.

use std::ops::Deref;

use aberra_metrics::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of training. Budgets are epochs, so that results do not depend on speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training images, more if `least_steps` asks for them.
    pub epochs: usize,
    /// Steps below which training does not end: few images make few steps an epoch, and are passed over more often than
    /// `epochs`. 0 takes `epochs` as it is; so does a file, variable or flag that gives `epochs` and not this.
    pub least_steps: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Adam's largest step.
    pub learning_rate: f64,
    /// How the learning rate moves over the run.
    pub schedule: Schedule,
    /// Decoupled weight decay (AdamW; Loshchilov and Hutter, 2019); 0 is Adam.
    pub weight_decay: f64,
    /// Largest norm of the gradient of the loss per pixel; 0 does not clip.
    pub gradient_clip: f64,
    /// Epochs between measurements of the criterion that chooses the best checkpoint.
    pub check_every_epochs: usize,
    /// Measurements without improvement after which training stops early; 0 never stops early.
    pub patience: usize,
    /// What chooses the best checkpoint. None of them sees a real anomaly.
    pub criterion: SelectionCriterion,
    /// Epochs between checkpoints of the whole state.
    pub checkpoint_every_epochs: usize,
    /// Epochs, evenly spread, after which the run folder keeps reconstructions of a few held-out normals; the first, the
    /// last and the best epoch are kept besides. 0 keeps none.
    pub snapshots: usize,
    /// Memory for preprocessed training images; what does not fit is decoded again each epoch.
    pub cache_mib: usize,
    /// Changes to training images that keep them normal.
    pub augmentation: Augmentation,
}

/// How the learning rate moves over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Schedule {
    /// Stays as it is.
    Constant,
    /// Falls along a half cosine to a hundredth.
    #[default]
    Cosine,
    /// Rises over the first 30 % of the steps, then falls along a half cosine (Smith, 2018).
    OneCycle,
}

/// What chooses the best checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum SelectionCriterion {
    /// The loss on the held-out normals.
    #[default]
    HeldOutLoss,
    /// The standardised mean shift of the detector's scorer when synthetic anomalies are drawn into the held-out normals:
    /// the mean rise of the score, in standard deviations of the normals' own scores.
    Synthetic,
    /// The last epoch's weights.
    Last,
}

/// Changes to training images that keep them normal. Each is off at 0 or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Mirrors left and right, every second time.
    pub flip_horizontal: bool,
    /// Mirrors top and bottom, every second time.
    pub flip_vertical: bool,
    /// Largest rotation, either way.
    pub rotation_degrees: f64,
    /// Largest change of scale: 0.05 is 95 to 105 %.
    pub scale: f64,
    /// Largest shift, as a share of the side.
    pub shift: f64,
    /// Largest change of the exponent of the intensities: 0.1 is x^0.9 to x^1.1.
    pub gamma: f64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 200,
            least_steps: 0,
            batch_size: 32,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            gradient_clip: 1.0,
            check_every_epochs: 5,
            patience: 0,
            criterion: SelectionCriterion::HeldOutLoss,
            checkpoint_every_epochs: 10,
            snapshots: 20,
            cache_mib: 2048,
            augmentation: Augmentation::default(),
        }
    }
}

impl Augmentation {
    /// Leaves images as they are.
    pub(crate) const OFF: Self = Self {
        flip_horizontal: false,
        flip_vertical: false,
        rotation_degrees: 0.0,
        scale: 0.0,
        shift: 0.0,
        gamma: 0.0,
    };
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip_horizontal: true,
            flip_vertical: false,
            rotation_degrees: 15.0,
            scale: 0.12,
            shift: 0.05,
            gamma: 0.3,
        }
    }
}

impl TrainSettings {
    /// Passes over so many training images: `epochs`, or as many as make `least_steps`.
    pub fn epochs_over(&self, images: usize) -> usize {
        self.epochs.max(self.least_steps.div_ceil(self.steps_per_epoch(images).max(1)))
    }

    /// Steps in a pass over so many training images.
    pub fn steps_per_epoch(&self, images: usize) -> usize {
        images.div_ceil(self.batch_size)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn check(self) -> Result<CheckedTrainSettings> {
        let whole = [
            ("epochs", self.epochs, 1, 1_000_000),
            ("least_steps", self.least_steps, 0, 1_000_000),
            ("batch_size", self.batch_size, 1, 4096),
            ("check_every_epochs", self.check_every_epochs, 1, 1_000_000),
            ("checkpoint_every_epochs", self.checkpoint_every_epochs, 1, 1_000_000),
            ("snapshots", self.snapshots, 0, 1_000),
        ];
        for (name, found, low, high) in whole {
            if !(low..=high).contains(&found) {
                return Err(out_of_range(name, &format!("{low} to {high}"), found));
            }
        }
        let ranges = [
            ("learning_rate", self.learning_rate, 1e-9, 1.0),
            ("weight_decay", self.weight_decay, 0.0, 1.0),
            ("gradient_clip", self.gradient_clip, 0.0, 1e9),
            ("augmentation.rotation_degrees", self.augmentation.rotation_degrees, 0.0, 180.0),
            ("augmentation.scale", self.augmentation.scale, 0.0, 0.5),
            ("augmentation.shift", self.augmentation.shift, 0.0, 0.5),
            ("augmentation.gamma", self.augmentation.gamma, 0.0, 0.9),
        ];
        for (name, found, low, high) in ranges {
            if !(low..=high).contains(&found) {
                return Err(out_of_range(name, &format!("{low} to {high}"), found));
            }
        }
        Ok(CheckedTrainSettings(self))
    }
}

/// Settings of training that have been checked: what the training loop takes. They can be read like [`TrainSettings`], but
/// not changed.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedTrainSettings(TrainSettings);

impl CheckedTrainSettings {
    /// The same with another number of epochs, which is taken as it is.
    ///
    /// # Errors
    /// It is out of its range.
    pub fn with_epochs(&self, epochs: usize) -> Result<Self> {
        TrainSettings { epochs, least_steps: 0, ..self.0.clone() }.check()
    }

    /// The same with another number of images a step.
    ///
    /// # Errors
    /// It is out of its range.
    pub fn with_batch_size(&self, batch_size: usize) -> Result<Self> {
        TrainSettings { batch_size, ..self.0.clone() }.check()
    }

    /// The same with training images as they are.
    pub fn without_augmentation(self) -> Self {
        Self(TrainSettings { augmentation: Augmentation::OFF, ..self.0 })
    }
}

impl Deref for CheckedTrainSettings {
    type Target = TrainSettings;

    fn deref(&self) -> &TrainSettings {
        &self.0
    }
}

fn out_of_range(name: &str, expected: &str, found: impl std::fmt::Display) -> Error {
    Error::settings(format!("train.{name}: expected {expected}, found {found}"))
}
