//! Settings of a wrong type: every one that the schemas describe, in each place that it may come from.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;

use aberra::models::families::FAMILIES;
use aberra::models::network::Precision;
use aberra::{ENVIRONMENT_PREFIX, SettingsLayer, SettingsOrigin, TrainConfig};
use serde_json::Value;

/// Every setting that a schema describes, with a value of another type.
fn wrong_values(schema: &Value, section: &str) -> Vec<(String, &'static str)> {
    let root = schema;
    let mut found = Vec::new();
    let mut sections = vec![(section.to_owned(), schema.clone())];
    while let Some((path, schema)) = sections.pop() {
        let fields = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, mut described) in fields {
            let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let reference = described["$ref"].as_str().or(described["allOf"][0]["$ref"].as_str());
            if let Some(target) =
                reference.and_then(|reference| root.pointer(reference.trim_start_matches('#')))
            {
                described = target.clone();
            }
            let text = described.to_string();
            let is_any_of = |words: &[&str]| words.iter().any(|word| text.contains(&format!("{word:?}")));
            if described["properties"].is_object() {
                found.push((at.clone(), "3"));
                sections.push((at, described));
            } else if is_any_of(&["integer", "number", "boolean"]) {
                found.push((at, "'nonsense'"));
            } else if is_any_of(&["const", "enum"]) {
                found.extend([(at.clone(), "'nonsense'"), (at, "[3]")]);
            } else {
                found.push((at, "[[3]]"));
            }
        }
    }
    found
}

/// Every setting of the library and of the families, in each place that it may come from. A new setting is in the schema,
/// and so is tried by itself.
#[test]
fn every_setting_of_a_wrong_type_names_itself_its_origin_and_what_was_expected() {
    // A model's settings are its family's; `model` itself is one or a list.
    let mut tried = wrong_values(&TrainConfig::json_schema(), "");
    tried.retain(|(path, _)| path != "model" && !path.starts_with("model."));
    let own = tried.len();
    let mut tried: Vec<_> = tried.into_iter().map(|(path, value)| (None, path, value)).collect();
    for family in FAMILIES {
        let values = wrong_values(&family.schema(), "model").into_iter();
        tried.extend(values.map(|(path, value)| (Some(family.name()), path, value)));
    }
    assert!(own > 40 && tried.len() > own + 40, "{own} and {} settings", tried.len());
    let mut wrong = Vec::new();
    for (family, path, value) in tried {
        let names: Vec<&str> = path.split('.').collect();
        let variable = format!("{ENVIRONMENT_PREFIX}{}", path.replace('.', "__").to_uppercase());
        for origin in [
            SettingsOrigin::File("s.toml".into()),
            SettingsOrigin::Variable(variable),
            SettingsOrigin::Flag(format!("--set {path}={value}")),
        ] {
            let base = family.map(|family| format!("model.family = '{family}'")).unwrap_or_default();
            let shown = origin.to_string();
            let layers = [
                SettingsLayer { table: base.parse().unwrap(), origin: None },
                SettingsLayer {
                    table: TrainConfig::assignment_layer(&format!("{path}={value}")).unwrap(),
                    origin: Some(origin),
                },
            ];
            match TrainConfig::from_sources(&layers) {
                Ok(_) => wrong.push(format!("{path} = {value} is taken")),
                Err(error) => {
                    let said = error.to_string();
                    // A member of a model's table, such as `model.loss.mse`, is named by the table.
                    let is_named = said.contains(names[names.len() - 1])
                        || (names.len() == 3 && said.contains(&names[..2].join(".")));
                    if !(is_named && said.contains("expected") && said.contains(&shown)) {
                        wrong.push(format!("{path} = {value}: {said}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_machine_is_asked_for_a_precision_only_where_one_is_left_open() {
    let checked = |text: &str| {
        let layer = SettingsLayer { table: text.parse().unwrap(), origin: None };
        TrainConfig::from_sources(&[layer]).unwrap()
    };
    let resolved = |text: &str, auto: Precision| {
        let config = checked(text);
        let asked = Cell::new(0);
        let resolved = config
            .resolved(|| {
                asked.set(asked.get() + 1);
                Ok(auto)
            })
            .unwrap();
        let precision = |settings: &Value| settings["precision"].as_str().map(str::to_owned);
        let members = resolved.members().iter();
        let settled =
            members.filter_map(|member| precision(&serde_json::to_value(&member.settings).unwrap()));
        (settled.collect::<Vec<_>>(), asked.get())
    };
    for auto in [Precision::F32, Precision::Bf16] {
        let set = "[[model]]\nfamily = \"vae\"\nprecision = \"f32\"\n[[model]]\nfamily = \"autoencoder\"\nprecision = \"bf16\"";
        assert_eq!(resolved(set, auto), (vec!["f32".to_owned(), "bf16".to_owned()], 0));
        // Features have no precision to choose.
        assert_eq!(resolved("[model]\nfamily = \"features\"", auto), (vec![], 0));
        let open = "[[model]]\nfamily = \"vae\"\nprecision = \"f32\"\n[[model]]\nfamily = \"autoencoder\"";
        assert_eq!(resolved(open, auto), (vec!["f32".to_owned(), auto.name().to_owned()], 1));
    }
    let config = checked("[model]\nfamily = \"vae\"");
    assert!(config.resolved(|| Err(aberra::Error::settings("none"))).is_err());
}
