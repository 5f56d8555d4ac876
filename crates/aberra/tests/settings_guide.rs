//! The tables of the settings guide, `docs/settings.md`, which this test keeps as the schemas describe the settings and with the
//! defaults that they have. With `ABERRA_UPDATE=1` they are rewritten.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write;

use aberra::TrainConfig;
use aberra::models::Family;
use aberra::models::families::FAMILIES;
use serde_json::Value;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");

/// What lies below this line is made here.
const MARK: &str = "<!-- written by ABERRA_UPDATE=1 cargo test --workspace --test settings_guide -->\n";

#[test]
fn the_settings_guide_has_every_setting_as_it_is() {
    let kept = std::fs::read_to_string(FILE).unwrap();
    let (by_hand, _) = kept.split_once(MARK).unwrap_or_else(|| panic!("expected the line {MARK}"));
    let whole = format!("{by_hand}{MARK}{}", tables());
    if std::env::var_os("ABERRA_UPDATE").is_some() {
        std::fs::write(FILE, &whole).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).unwrap() == whole,
        "docs/settings.md is not what the schemas say: run ABERRA_UPDATE=1 cargo test --workspace --test settings_guide"
    );
    // What the settings are is said of each.
    let empty = whole.lines().find(|line| line.starts_with("| `") && line.ends_with("|  |"));
    assert_eq!(empty, None);
}

fn tables() -> String {
    let schema = TrainConfig::json_schema();
    let defaults = serde_json::to_value(TrainConfig::default()).unwrap();
    let mut text = String::new();
    let (mut top, mut sections) = (Vec::new(), Vec::new());
    for (name, field) in schema["properties"].as_object().unwrap() {
        let described = resolved(&schema, field);
        match described["properties"].is_object() {
            true => sections.push((name, described)),
            false if name != "model" => top.push((name.clone(), field.clone(), defaults[name].clone())),
            false => {}
        }
    }
    text += "\n## At the top\n\n";
    text += &table(&schema, &top);
    for (name, described) in sections {
        writeln!(text, "\n## `[{name}]`\n\n{}\n", sentence(&described)).unwrap();
        text += &table(&schema, &leaves(&schema, "", &described, &defaults[name]));
    }
    text += "\n## `[model]`\n\nSettings of every model, whatever its family:\n\n";
    text += &every_model();
    for family in FAMILIES {
        text += &of_family(*family);
    }
    text
}

/// What a family's schema in the schema of all settings has beside its own settings.
fn every_model() -> String {
    let schema = TrainConfig::json_schema();
    let models = resolved(&schema, &schema["properties"]["model"]);
    let own = FAMILIES[0].schema();
    let all = models["anyOf"][0]["anyOf"][0]["properties"].as_object().unwrap();
    let shared = all.iter().filter(|(name, _)| own["properties"][name.as_str()].is_null());
    let shared = shared.map(|(name, field)| {
        let mut field = field.clone();
        let default = match name.as_str() {
            "family" => {
                field = serde_json::json!({ "description": "What is fitted: one of the families below." });
                "`\"vae\"`"
            }
            "preset" => {
                field = serde_json::json!({ "description": field["description"] });
                "see the family"
            }
            "name" => "the family's name",
            "channel" => "all",
            _ => "the detector's",
        };
        (name.clone(), field, Value::from(format!("\u{0}{default}")))
    });
    table(&schema, &shared.collect::<Vec<_>>())
}

fn of_family(family: &dyn Family) -> String {
    let schema = family.schema();
    let presets = family.presets();
    let mut text = format!("\n### `family = \"{}\"`\n\n{}.\n\n", family.name(), capital(family.about()));
    text += "| preset | size | what for |\n|---|---|---|\n";
    for preset in presets {
        let size = preset.size_px.map_or_else(|| "any".to_owned(), |size_px| format!("{size_px} px"));
        writeln!(text, "| `{}` | {size} | {} |", preset.name, preset.about).unwrap();
    }
    let default = presets.iter().find(|preset| preset.name == family.default_preset()).unwrap();
    let defaults = Value::Object((default.settings)());
    writeln!(text, "\nDefaults are those of the preset `{}`.\n", default.name).unwrap();
    text + &table(&schema, &leaves(&schema, "", &schema, &defaults))
}

type Setting = (String, Value, Value);

/// The settings of a section, those of sections within it with their path.
fn leaves(root: &Value, within: &str, section: &Value, defaults: &Value) -> Vec<Setting> {
    let mut found = Vec::new();
    for (name, field) in section["properties"].as_object().unwrap() {
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        let described = resolved(root, field);
        match described["properties"].is_object() {
            true => found.extend(leaves(root, &path, &described, &defaults[name])),
            false => found.push((path, field.clone(), defaults[name].clone())),
        }
    }
    found
}

/// What a reference, also one that may be none, points to.
fn resolved(root: &Value, field: &Value) -> Value {
    let parts = ["allOf", "anyOf"].iter().find_map(|key| field[*key].as_array());
    let inner = parts.and_then(|parts| parts.iter().find(|part| part["$ref"].is_string()));
    let reference = field["$ref"].as_str().or_else(|| inner?["$ref"].as_str());
    match reference.and_then(|reference| root.pointer(reference.trim_start_matches('#'))) {
        Some(target) => target.clone(),
        None => field.clone(),
    }
}

fn table(root: &Value, settings: &[Setting]) -> String {
    let mut text = "| setting | default | what it does |\n|---|---|---|\n".to_owned();
    for (name, field, default) in settings {
        let described = resolved(root, field);
        let own = sentence(field);
        let about = if own.is_empty() { sentence(&described) } else { own };
        let choices = choices(&described);
        writeln!(text, "| `{name}` | {} | {about}{choices} |", shown(default)).unwrap();
    }
    text
}

fn sentence(field: &Value) -> String {
    let text = field["description"].as_str().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    // Links within the code lead nowhere here.
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().replace("[`", "`");
    parts.fold(first, |text, part| {
        text + &part.split_once(')').map_or(part, |(_, rest)| rest).replace("[`", "`")
    })
}

/// The values of which a setting takes one, with what each is.
fn choices(described: &Value) -> String {
    let about = |one: &Value| sentence(one).trim_end_matches('.').to_owned();
    let listed = described["oneOf"].as_array().cloned().unwrap_or_default();
    let mut texts = Vec::new();
    for one in &listed {
        let about = about(one);
        if let Some(name) = one["const"].as_str() {
            texts.push(format!("`{name}`: {about}"));
        } else if let Some(names) = one["enum"].as_array() {
            texts.extend(names.iter().map(|name| format!("`{}`", name.as_str().unwrap_or_default())));
        } else if let Some(name) = one["properties"]["kind"]["const"].as_str() {
            texts.push(format!("`{{ kind = \"{name}\", ... }}`: {about}"));
        }
    }
    if let Some(names) = described["enum"].as_array() {
        texts.extend(names.iter().map(|name| format!("`{}`", name.as_str().unwrap_or_default())));
    }
    if texts.is_empty() { String::new() } else { format!(" {}.", texts.join("; ")) }
}

/// A value as in a file of settings.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.starts_with('\u{0}') => text.trim_start_matches('\u{0}').to_owned(),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("`{{ {} }}`", fields.join(", "))
        }
        // As it is written in the code, where it has the precision of `f32`.
        Value::Number(number) if number.as_f64().is_some_and(|value| f64::from(value as f32) == value) => {
            let value = number.as_f64().unwrap_or_default();
            if number.is_f64() { format!("`{:?}`", value as f32) } else { format!("`{number}`") }
        }
        other => format!("`{other}`"),
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
