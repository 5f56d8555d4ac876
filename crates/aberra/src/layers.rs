//! Layers of settings: a TOML file, the environment and flags, laid over the defaults; what is wrong in one of them is
//! named, with where it came from.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use aberra_image::{InputColor, Preprocessing};
use aberra_models::families::{DEFAULT_FAMILY, FAMILIES};
use aberra_models::find;
use aberra_models::train::TrainSettings;
use toml::{Table, Value};

use crate::config::{LEAST_STEPS, TrainConfig};
use crate::{Error, Result};

/// The prefix of environment variables: `ABERRA_TRAIN__EPOCHS=20` is `train.epochs = 20`.
pub const ENVIRONMENT_PREFIX: &str = "ABERRA_";

/// Environment variables of Aberra that are no settings.
const OTHER_VARIABLES: &[&str] = &[
    "ABERRA_CACHE",
    "ABERRA_KERNELS",
    #[cfg(any(test, feature = "testing"))]
    "ABERRA_FAULT",
];

/// Edits between an unknown name and a known one that may still be meant.
const MOST_EDITS: usize = 3;

/// A table of settings, and where it comes from.
#[derive(Clone, Debug)]
pub struct SettingsLayer {
    /// The settings.
    pub table: Table,
    /// Where they come from; `None` for a caller's own.
    pub origin: Option<SettingsOrigin>,
}

/// Where settings come from.
#[derive(Clone, Debug)]
pub enum SettingsOrigin {
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag, as it was typed.
    Flag(String),
}

impl SettingsLayer {
    /// The settings of a TOML file.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not TOML.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
        let table = TrainConfig::parse_layer(&text).map_err(|error| error.with_path(path))?;
        Ok(Self { table, origin: Some(SettingsOrigin::File(path.to_owned())) })
    }

    /// The settings that the environment of this process holds.
    ///
    /// # Errors
    /// As [`TrainConfig::environment_layers`].
    pub fn environment() -> Result<Vec<Self>> {
        let readable = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        TrainConfig::environment_layers(readable)
    }
}

impl From<Table> for SettingsLayer {
    fn from(table: Table) -> Self {
        Self { table, origin: None }
    }
}

impl fmt::Display for SettingsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in the file {}", path.display()),
            Self::Variable(name) => write!(f, "in the environment variable {name}"),
            Self::Flag(flag) => write!(f, "in {flag}"),
        }
    }
}

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
    ///
    /// # Errors
    /// A variable `ABERRA_...` that is no setting and nothing else that Aberra reads; the nearest is suggested.
    pub fn environment_layers(
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Vec<SettingsLayer>> {
        let names = setting_names();
        let mut layers = Vec::new();
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            if OTHER_VARIABLES.contains(&&*name) || is_of_kubernetes(rest) {
                continue;
            }
            let path = rest.to_lowercase();
            let path: Vec<&str> = path.split("__").collect();
            if !is_known(&names, &path) {
                return Err(unknown_variable(&name, &names));
            }
            let table = setting(&path, parse_value(&value));
            layers.push(SettingsLayer { table, origin: Some(SettingsOrigin::Variable(name)) });
        }
        Ok(layers)
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
}

/// Lays tables of settings over each other, the first over the defaults and so on.
///
/// # Errors
/// An unknown setting, a value of the wrong type; settings of a single model together with a list of several.
pub(crate) fn lay_over_defaults(layers: &[SettingsLayer]) -> Result<TrainConfig> {
    let mut merged = Table::new();
    for layer in layers {
        if let (Some(before), Some(model)) = (merged.get("model"), layer.table.get("model"))
            && before.is_array() != model.is_array()
        {
            return Err(Error::settings(
                "model: expected settings of a single model (model.NAME) or a list of several ([[model]]), found both",
            )
            .with_hint("set them in each [[model]] of the list"));
        }
        let mut table = layer.table.clone();
        take_epochs_as_given(&mut table);
        merge(&mut merged, table);
    }
    over_defaults(merged).map_err(|message| {
        // The last layer that is as wrong alone.
        let wrong = layers.iter().rev().find_map(|layer| {
            let path = leaves(&layer.table).into_iter().find_map(|(path, value)| {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let alone = over_defaults(setting(&names, value)).err()?;
                (alone == message).then_some(path)
            })?;
            Some((path.join("."), layer.origin.as_ref()))
        });
        let Some((path, origin)) = wrong else { return Error::settings(in_words(&message)) };
        let words = in_words(&message);
        // Some messages name their setting themselves.
        let message = if message.contains("setting `") { words } else { format!("{path}: {words}") };
        let from = origin.map_or_else(String::new, |origin| format!(" ({origin})"));
        Error::settings(message + &from)
    })
}

/// The error of checked settings, with where the setting comes from that it names.
pub(crate) fn with_origin(error: Error, layers: &[SettingsLayer]) -> Error {
    let text = error.to_string();
    let words = in_words(&text);
    let path: Vec<&str> = text.split(':').next().unwrap_or_default().split('.').collect();
    let holds = |layer: &SettingsLayer| {
        let first = layer.table.get(path[0]);
        first.is_some_and(|first| path[1..].iter().try_fold(first, |value, name| value.get(*name)).is_some())
    };
    let origin = layers.iter().rev().find(|layer| holds(layer)).and_then(|layer| layer.origin.as_ref());
    let from = match origin {
        None if words == text => return error,
        None => String::new(),
        Some(origin) => format!(" ({origin})"),
    };
    let named = Error::settings(words + &from);
    match error.hint() {
        Some(hint) => named.with_hint(hint),
        None => named,
    }
}

/// A number of epochs that is given is meant, however few steps it makes, unless the same place gives a least number of steps.
fn take_epochs_as_given(table: &mut Table) {
    if let Some(Value::Table(train)) = table.get_mut("train")
        && train.contains_key("epochs")
    {
        train.entry("least_steps").or_insert(Value::Integer(0));
    }
}

fn over_defaults(layer: Table) -> Result<TrainConfig, String> {
    let mut defaults = TrainConfig::default();
    let own_model = layer.contains_key("model");
    if own_model {
        let size_px = preset_size(layer.get("model")).unwrap_or(Preprocessing::default().size_px);
        defaults.preprocessing =
            Preprocessing { size_px, color: InputColor::Auto, ..Preprocessing::default() };
        defaults.train = TrainSettings { least_steps: LEAST_STEPS, ..TrainSettings::default() };
    }
    let mut whole = to_table(&defaults).map_err(|error| error.to_string())?;
    // A model's settings depend on its family and preset: they are replaced whole, and filled in by the family.
    if own_model {
        whole.remove("model");
    }
    merge(&mut whole, layer);
    whole.try_into().map_err(|error: toml::de::Error| error.message().trim().to_owned())
}

/// The side of the network input that the preset of a single model is for; of several models, each may be for another.
fn preset_size(model: Option<&Value>) -> Option<usize> {
    let text = |key: &str| model?.get(key)?.as_str();
    let family = find(FAMILIES, text("family").unwrap_or(DEFAULT_FAMILY)).ok()?;
    let name = text("preset").unwrap_or(family.default_preset());
    family.presets().iter().find(|preset| preset.name == name)?.size_px
}

/// What the parser says about types, in the words of a user.
fn in_words(message: &str) -> String {
    let Some((before, rest)) = message.split_once("invalid type: ").or(message.split_once("invalid value: "))
    else {
        let unknown = |what: &str| {
            let (before, rest) = message.split_once(what)?;
            let (found, expected) = rest.split_once("`, expected ")?;
            Some(format!("{before}expected {expected}, found `{found}`"))
        };
        let words = unknown("unknown field `").or_else(|| unknown("unknown variant `"));
        return words.unwrap_or_else(|| message.to_owned());
    };
    let Some((found, expected)) = rest.split_once(", expected ") else { return message.to_owned() };
    let is_negative = found.contains("`-");
    let expected = match expected.split_whitespace().next().unwrap_or_default() {
        "usize" | "u8" | "u16" | "u32" | "u64" if is_negative => "a whole number of 0 or above",
        "usize" | "u8" | "u16" | "u32" | "u64" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a" if expected.starts_with("a boolean") => "true or false",
        "a" if expected.starts_with("a string") => "a text",
        "a" if expected.starts_with("a sequence") => "a list",
        "struct" | "a map" => "a section of settings",
        _ => expected,
    };
    let found = match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer" | "boolean", value)) => value.replace('`', ""),
        Some(("floating", _)) => found.trim_start_matches("floating point ").replace('`', ""),
        _ => match found {
            "sequence" => "a list".to_owned(),
            "map" => "a table".to_owned(),
            other => other.to_owned(),
        },
    };
    format!("{before}expected {expected}, found {found}")
}

/// Whether a setting may lie at `path`; those of a model are its family's to know, and what lies deeper is its parser's.
fn is_known(names: &[String], path: &[&str]) -> bool {
    let described = path[..path.len().min(2)].join(".");
    path[0] == "model" || names.contains(&described)
}

/// Every setting that the schema describes, `section.name`.
fn setting_names() -> Vec<String> {
    let schema = TrainConfig::json_schema();
    let fields = |schema: &serde_json::Value| -> Vec<(String, serde_json::Value)> {
        let fields = schema["properties"].as_object();
        fields.into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())).collect()
    };
    let mut names = Vec::new();
    for (section, described) in fields(&schema) {
        let reference = described["$ref"].as_str().or(described["allOf"][0]["$ref"].as_str());
        let within = reference.and_then(|reference| schema.pointer(reference.trim_start_matches('#')));
        names.push(section.clone());
        names.extend(
            within.map(fields).unwrap_or_default().into_iter().map(|(name, _)| format!("{section}.{name}")),
        );
    }
    names
}

/// Variables that Kubernetes sets in every pod beside a service called `aberra`.
fn is_of_kubernetes(rest: &str) -> bool {
    rest == "PORT"
        || rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || (rest.starts_with("PORT_") && (rest.contains("_TCP") || rest.contains("_UDP")))
}

fn unknown_variable(name: &str, known: &[String]) -> Error {
    let variable = |name: &str| format!("{ENVIRONMENT_PREFIX}{}", name.replace('.', "__").to_uppercase());
    let known = known.iter().map(|name| variable(name));
    let known = known.chain(OTHER_VARIABLES.iter().map(|&name| name.to_owned()));
    let nearest = known.map(|known| (edits(name, &known), known)).min();
    let error = Error::settings(format!(
        "expected environment variables {ENVIRONMENT_PREFIX}... that name settings, found {name}, which names none"
    ));
    match nearest.filter(|(edits, _)| *edits <= MOST_EDITS) {
        Some((_, nearest)) => error.with_hint(format!("did you mean {nearest}?")),
        None => error.with_hint("unset it; `aberra train --print-config` prints every setting, and ABERRA_TRAIN__EPOCHS is train.epochs"),
    }
}

/// The smallest number of insertions, deletions and changes of a character between two texts (Levenshtein's distance).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, character) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let change = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// Paths and values of the settings in a table.
fn leaves(table: &Table) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(table) if !table.is_empty() => {
                let within = leaves(table).into_iter();
                found.extend(within.map(|(path, value)| ([vec![name.clone()], path].concat(), value)));
            }
            value => found.push((vec![name.clone()], value.clone())),
        }
    }
    found
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

    fn of_environment(variables: &[(&str, &str)]) -> Result<Vec<SettingsLayer>> {
        TrainConfig::environment_layers(
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn the_environment_is_a_layer() {
        let variables = [
            ("ABERRA_TRAIN__EPOCHS", "4"),
            ("ABERRA_SCORER", "mse"),
            ("ABERRA_PROMISE__CONFIDENCE", "0.9"),
            ("ABERRA_MODEL__LATENT", "8"),
            ("ABERRA_KERNELS", "portable"),
            ("HOME", "/"),
        ];
        let layers = of_environment(&variables).unwrap();
        let config = TrainConfig::from_sources(&layers).unwrap();
        assert_eq!((config.train.epochs, config.scorer.as_str()), (4, "mse"));
        assert_eq!(config.promise.confidence, Some(0.9));
        assert_eq!(config.members()[0].settings["latent"], 8);
    }

    #[test]
    fn an_unknown_variable_is_refused_and_the_nearest_suggested() {
        for (name, nearest) in [
            ("ABERRA_TRAIN_EPOCHS", "ABERRA_TRAIN__EPOCHS"),
            ("ABERRA_TRAIN__EPOCH", "ABERRA_TRAIN__EPOCHS"),
            ("ABERRA_SCORRER", "ABERRA_SCORER"),
            ("ABERRA_KERNEL", "ABERRA_KERNELS"),
            ("ABERRA_PROMISE__CONFIDENC", "ABERRA_PROMISE__CONFIDENCE"),
        ] {
            let error = of_environment(&[(name, "3")]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(error.hint(), Some(format!("did you mean {nearest}?").as_str()));
        }
        let error = of_environment(&[("ABERRA_DATA", "/x")]).unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("--print-config")));
    }

    #[test]
    fn what_kubernetes_sets_beside_a_service_called_aberra_is_no_setting() {
        let variables = [
            ("ABERRA_SERVICE_HOST", "10.0.0.1"),
            ("ABERRA_SERVICE_PORT", "8765"),
            ("ABERRA_SERVICE_PORT_HTTP", "8765"),
            ("ABERRA_PORT", "tcp://10.0.0.1:8765"),
            ("ABERRA_PORT_8765_TCP_ADDR", "10.0.0.1"),
        ];
        assert!(of_environment(&variables).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_type_names_the_setting_its_origin_and_what_was_expected() {
        let layer = |text: &str, origin| SettingsLayer { table: text.parse().unwrap(), origin: Some(origin) };
        let file = || SettingsOrigin::File("s.toml".into());
        for (text, expected) in [
            (
                "train.epochs = 'abc'",
                "train.epochs: expected a whole number, found the text \"abc\" (in the file s.toml)",
            ),
            ("train.epochs = 1.5", "train.epochs: expected a whole number, found 1.5 (in the file s.toml)"),
            (
                "train.epochs = -1",
                "train.epochs: expected a whole number of 0 or above, found -1 (in the file s.toml)",
            ),
            (
                "keep_thumbnails = 'yes'",
                "keep_thumbnails: expected true or false, found the text \"yes\" (in the file s.toml)",
            ),
            ("train = 3", "train: expected a section of settings, found 3 (in the file s.toml)"),
            (
                "model.latent = 'x'",
                "model.latent: expected a whole number, found the text \"x\" (in the file s.toml)",
            ),
            ("train.epochs = 0", "train.epochs: expected 1 to 1000000, found 0 (in the file s.toml)"),
        ] {
            let layers =
                [layer("seed = 3", SettingsOrigin::Flag("--seed 3".to_owned())), layer(text, file())];
            assert_eq!(TrainConfig::from_sources(&layers).unwrap_err().to_string(), expected);
        }
        let flag = SettingsOrigin::Flag("--set train.epochs=abc".to_owned());
        let layers = [layer("train.epochs = 5", file()), layer("train.epochs = 'abc'", flag)];
        let said = TrainConfig::from_sources(&layers).unwrap_err().to_string();
        assert!(said.ends_with("(in --set train.epochs=abc)"), "{said}");
        let error = TrainConfig::from_sources(&of_environment(&[("ABERRA_SEED", "x")]).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("seed: expected a whole number")
                && error.to_string().contains("ABERRA_SEED"),
            "{error}"
        );
    }
}
