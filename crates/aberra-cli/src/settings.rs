//! Training settings from three layers: flags override environment variables, which override the file.

use std::path::{Path, PathBuf};

use aberra::image::RelativeRegion;
use aberra::{CheckedConfig, SettingsLayer, SettingsOrigin, TrainConfig};
use clap::Args;

use crate::choices;
use crate::error::CommandError;

/// Flags that choose the model.
#[derive(Args, Clone, Default)]
pub(crate) struct ModelArgs {
    #[arg(long, value_name = "NAME", help = choices::families())]
    pub(crate) family: Option<String>,
    #[arg(long, value_name = "NAME", help = choices::presets())]
    pub(crate) preset: Option<String>,
}

/// Flags for all other settings.
#[derive(Args, Clone, Default)]
pub(crate) struct SettingsArgs {
    /// TOML file of settings. Flags override environment variables (ABERRA_TRAIN__EPOCHS=20), which override the file.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Width and height of the network input in pixels, 16 to 1024 [default: 256; with --family or --preset, what the preset is
    /// for, or 128].
    #[arg(long, value_name = "PX")]
    pub(crate) size: Option<usize>,
    /// Network inputs, which overlap, that each image becomes: auto (the default detector's: as many as large or long
    /// images need), none, or rows and columns such as 2x3.
    #[arg(long, value_name = "auto|none|RxC")]
    pub(crate) tiles: Option<String>,
    /// The values that become black and white in every image, by the middle and the distance of both, in the unit of the files:
    /// 40,400 for soft tissue in the Hounsfield units of a CT [default: percentiles of each image].
    #[arg(long, value_name = "CENTER,WIDTH", value_parser = window, allow_hyphen_values = true)]
    pub(crate) window: Option<String>,
    /// Values that stand for "not measured", such as the holes of a depth camera: nan, 0, or depth=0 for a channel or the channels of
    /// a file; repeatable. These pixels are filled from their neighbours, and maps leave them out.
    #[arg(long, value_name = "[CHANNEL=]VALUE", value_parser = invalid, allow_hyphen_values = true)]
    pub(crate) invalid: Vec<Invalid>,
    /// Look at this part of every image alone: left, top, width and height as shares of its sides, such as 0.1,0,0.8,1.
    #[arg(long, value_name = "L,T,W,H")]
    pub(crate) region: Option<RelativeRegion>,
    /// Ignore this part of every image, such as a date or a ruler: left, top, width and height as shares of its sides;
    /// repeatable.
    #[arg(long, value_name = "L,T,W,H")]
    pub(crate) ignore: Vec<RelativeRegion>,
    /// Number of epochs (passes over the training images), taken as it is however few steps they make; see
    /// train.least_steps. With --resume, a finished run goes on to as many.
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<usize>,
    /// Number of images per training step.
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<usize>,
    /// Seed of the random number generators.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Frozen backbone of the models that work on features: efficientnet-lite0 (the default), none (learnt from generated
    /// images: no weights from elsewhere) or a safetensors file of your own weights of that architecture.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) backbone: Option<String>,
    /// Precision of matrix products: f32, bf16 or auto (the default: bf16 on processors that multiply it faster).
    #[arg(long, value_name = "NAME")]
    pub(crate) precision: Option<String>,
    #[arg(long, value_name = "NAME", help = choices::scorers())]
    pub(crate) scorer: Option<String>,
    /// Target false-alarm rate, such as 0.05.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub(crate) rate: Option<f64>,
    /// Guarantee the rate with this confidence, such as 0.9, instead of on average.
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    pub(crate) confidence: Option<f64>,
    /// Which images stay together in a split: near (near-duplicates), exact (duplicates), manifest (its groups) or
    /// none.
    #[arg(long, value_name = "BY")]
    pub(crate) group: Option<String>,
    /// Any other setting; repeatable.
    #[arg(long, value_name = "SECTION.NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Store thumbnails of the normals in the detector file. If the images are patient data, so are the thumbnails.
    #[arg(long)]
    pub(crate) keep_thumbnails: bool,
}

impl SettingsArgs {
    /// Merges the layers: these flags, the environment, and `--config` or else `file`.
    pub(crate) fn resolve(
        &self,
        model: &ModelArgs,
        file: Option<&Path>,
    ) -> Result<CheckedConfig, CommandError> {
        let Some(path) = self.config.as_deref().or(file) else { return self.over(model, Vec::new()) };
        self.over(model, vec![SettingsLayer::read(path)?])
    }

    /// Lays these flags and the environment over settings.
    pub(crate) fn over(
        &self,
        model: &ModelArgs,
        mut layers: Vec<SettingsLayer>,
    ) -> Result<CheckedConfig, CommandError> {
        layers.extend(SettingsLayer::environment()?);
        let set = self.set.iter().map(|assignment| ("--set", assignment.clone()));
        for (flag, assignment) in set.chain(model.assignments()).chain(self.assignments()) {
            let table = TrainConfig::assignment_layer(&assignment)?;
            let typed = if flag == "--set" { format!("{flag} {assignment}") } else { flag.to_owned() };
            layers.push(SettingsLayer { table, origin: Some(SettingsOrigin::Flag(typed)) });
        }
        TrainConfig::from_sources(&layers).map_err(|error| match error.hint() {
            Some(_) => CommandError::Library(error),
            None => CommandError::new(error.to_string())
                .with_hint("`aberra train --print-config` prints every setting and its value"),
        })
    }

    /// The flags for single settings as TOML assignments `section.name=value`.
    fn assignments(&self) -> impl Iterator<Item = (&'static str, String)> {
        let whole = |name: &str, value: Option<usize>| value.map(|value| format!("{name}={value}"));
        let share = |name: &str, value: Option<f64>| value.map(|value| format!("{name}={value:?}"));
        let ignored: Vec<String> = self.ignore.iter().copied().map(as_table).collect();
        let ignored = (!ignored.is_empty()).then(|| format!("preprocessing.ignore=[{}]", ignored.join(", ")));
        let invalid: Vec<&str> = self
            .invalid
            .iter()
            .filter_map(|invalid| match invalid {
                Invalid::NotFinite => None,
                Invalid::Value(table) => Some(table.as_str()),
            })
            .collect();
        let invalid =
            (!invalid.is_empty()).then(|| format!("preprocessing.invalid=[{}]", invalid.join(", ")));
        let not_finite = self.invalid.contains(&Invalid::NotFinite);
        let flags = [
            ("--size", whole("preprocessing.size_px", self.size)),
            ("--tiles", word("preprocessing.tiles", &self.tiles)),
            ("--window", self.window.as_ref().map(|window| format!("preprocessing.window={window}"))),
            ("--invalid", invalid),
            ("--invalid", not_finite.then(|| "limits.not_finite=true".to_owned())),
            ("--region", self.region.map(|region| format!("preprocessing.region={}", as_table(region)))),
            ("--ignore", ignored),
            ("--epochs", whole("train.epochs", self.epochs)),
            ("--batch-size", whole("train.batch_size", self.batch_size)),
            ("--seed", self.seed.map(|seed| format!("seed={seed}"))),
            ("--backbone", word("backbone", &self.backbone)),
            ("--precision", word("model.precision", &self.precision)),
            ("--scorer", word("scorer", &self.scorer)),
            ("--rate", share("promise.false_alarm_rate", self.rate)),
            ("--confidence", share("promise.confidence", self.confidence)),
            ("--group", word("split.by", &self.group)),
            ("--keep-thumbnails", self.keep_thumbnails.then(|| "keep_thumbnails=true".to_owned())),
        ];
        flags.into_iter().filter_map(|(flag, assignment)| Some((flag, assignment?)))
    }
}

impl ModelArgs {
    /// The flags, each as `section.name=value` in TOML.
    fn assignments(&self) -> impl Iterator<Item = (&'static str, String)> {
        let flags = [
            ("--family", word("model.family", &self.family)),
            ("--preset", word("model.preset", &self.preset)),
        ];
        flags.into_iter().filter_map(|(flag, assignment)| Some((flag, assignment?)))
    }
}

/// A part of an image as a table of TOML.
fn as_table(part: RelativeRegion) -> String {
    let RelativeRegion { left, top, width, height } = part;
    format!("{{ left = {left:?}, top = {top:?}, width = {width:?}, height = {height:?} }}")
}

/// A window as a table of TOML.
fn window(text: &str) -> Result<String, String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([center, width]) => Ok(format!("{{ center = {center:?}, width = {width:?} }}")),
        _ => Err("expected center,width such as 40,400".to_owned()),
    }
}

/// What stands for "not measured".
#[derive(Clone, PartialEq)]
pub(crate) enum Invalid {
    /// NaN and infinite values.
    NotFinite,
    /// A value, perhaps of one channel, as a TOML table.
    Value(String),
}

fn invalid(text: &str) -> Result<Invalid, String> {
    let (channel, value) = match text.split_once('=') {
        Some((channel, value)) => (Some(channel), value),
        None => (None, text),
    };
    match (value.trim().parse::<f64>(), channel) {
        (Ok(value), None) if value.is_nan() => Ok(Invalid::NotFinite),
        (Ok(value), None) if value.is_finite() => Ok(Invalid::Value(format!("{{ value = {value:?} }}"))),
        (Ok(value), Some(channel)) if value.is_finite() && !channel.is_empty() => {
            let channel = serde_json::Value::from(channel);
            Ok(Invalid::Value(format!("{{ value = {value:?}, channel = {channel} }}")))
        }
        _ => Err("expected nan (of all channels), a number, or a channel and its number such as depth=0"
            .to_owned()),
    }
}

fn word(name: &str, value: &Option<String>) -> Option<String> {
    value.as_ref().map(|value| format!("{name}={}", serde_json::Value::from(value.as_str())))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    /// Texts that may be anything.
    const FREE: &[&str] = &["config", "set", "backbone"];

    /// What is said of a flag with a value that is none of its own.
    fn refusal(command: &Command, words: &[String]) -> Option<String> {
        let matches = match command.clone().try_get_matches_from(words) {
            Ok(matches) => matches,
            // Of another type than the flag's: see `usage`.
            Err(error) => return Some(error.to_string()),
        };
        let model = ModelArgs::from_arg_matches(&matches).unwrap();
        let settings = SettingsArgs::from_arg_matches(&matches).unwrap();
        settings.over(&model, Vec::new()).err().map(|error| match error {
            CommandError::Own { message, .. } => message,
            CommandError::Library(error) => error.to_string(),
            CommandError::ClosedPipe => String::new(),
        })
    }

    #[test]
    fn every_flag_names_itself_and_what_it_expects_if_its_value_is_wrong() {
        let command = ModelArgs::augment_args(SettingsArgs::augment_args(Command::new("x")));
        let mut tried = 0;
        for arg in command.get_arguments() {
            let name = arg.get_id().as_str();
            let Some(long) = arg.get_long().filter(|_| arg.get_action().takes_values()) else { continue };
            if FREE.contains(&name) {
                continue;
            }
            let wrong = ["x".to_owned(), format!("--{long}"), "nonsense".to_owned()];
            let said = refusal(&command, &wrong).unwrap_or_else(|| panic!("--{long} takes nonsense"));
            assert!(said.contains(&format!("--{long}")) && said.contains("nonsense"), "{said}");
            assert!(said.contains("expected") || said.contains("invalid value"), "{said}");
            tried += 1;
        }
        assert!(tried >= 12, "{tried}");
    }
}
