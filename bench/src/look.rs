//! Writes down a look at real anomalies: each adds a line to `bench/looks.jsonl`, whichever program looked, so that how
//! often a test part was seen before a recipe was chosen can be told.

use std::fs::{OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::grouped::Result;

const LOOKS: &str = "bench/looks.jsonl";

/// Write down what `aberra bench` looked at.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder that `aberra bench` wrote.
    folder: PathBuf,
    #[command(flatten)]
    why: Why,
}

/// Why and when real anomalies were looked at.
#[derive(Args)]
pub(crate) struct Why {
    /// What the look is for; written down.
    #[arg(long)]
    why: String,
    /// The date, written down.
    #[arg(long)]
    date: String,
}

/// Writes down the comparison in a folder.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    look(&arguments.folder, &[], &arguments.why)
}

/// Adds a line for the comparison in `folder`, with the settings that were given beside families and presets.
///
/// # Errors
/// There is no comparison, or the line cannot be written.
pub(crate) fn look(folder: &Path, settings: &[String], why: &Why) -> Result<()> {
    let file = folder.join("comparison.json");
    let table: Value = serde_json::from_str(
        &read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?,
    )?;
    let mut looks = OpenOptions::new().create(true).append(true).open(LOOKS)?;
    writeln!(looks, "{}", line(&table, settings, why))?;
    Ok(())
}

/// What is written down of a comparison: means, intervals and the cells' numbers, without settings that are defaults.
fn line(table: &Value, settings: &[String], why: &Why) -> Value {
    let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let recipe = |row: &Value| {
        let of = |name: &str| (name.to_owned(), row[name].clone());
        let kept = [
            "recipe",
            "auroc",
            "auroc_difference",
            "auroc_minus_classic",
            "average_precision",
            "pixel_average_precision",
            "tpr_at_5_fpr",
            "false_alarm_rate",
            "training_secs",
            "parameters",
        ];
        let mut recipe: Map<String, Value> = kept.map(of).into_iter().collect();
        recipe.insert("mean_auroc".to_owned(), row["scorers"].clone());
        let cells = row["cells"].as_array().into_iter().flatten();
        let cells = cells.map(|cell| {
            json!({
                "fold": cell["fold"]["index"], "seed": cell["seed"], "normals": cell["normals"],
                "anomalies": cell["anomalies"], "auroc": cell["scorers"], "calibration": cell["calibration"],
                "false_alarm_rate": cell["false_alarm_rate"], "training_seconds": cell["training_secs"],
            })
        });
        recipe.insert("cells".to_owned(), cells.collect());
        Value::from(recipe)
    };
    json!({
        "date": why.date, "what": why.why, "data": table["data_name"], "set": settings,
        "version": table["aberra_version"], "seeds": table["seeds"],
        "recipes": rows.iter().map(recipe).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_why_and_holds_the_numbers() {
        let table = json!({
            "aberra_version": "1.2.3", "data_name": "scans", "seeds": [0], "rows": [{
                "recipe": "vae", "settings_toml": "seed = 0",
                "auroc": { "value": 0.7, "low": 0.6, "high": 0.8 }, "scorers": { "mse": 0.5 },
                "cells": [{ "fold": { "index": 2, "of": 5 }, "seed": 0, "scorers": { "mse": 0.5 } }],
            }],
        });
        let why = Why { why: "to see".to_owned(), date: "2026-11-26".to_owned() };
        let line = line(&table, &["train.epochs=2".to_owned()], &why);
        assert_eq!((&line["what"], &line["data"]), (&json!("to see"), &json!("scans")));
        assert_eq!(line["set"], json!(["train.epochs=2"]));
        let recipe = &line["recipes"][0];
        assert_eq!((&recipe["auroc"]["low"], &recipe["mean_auroc"]["mse"]), (&json!(0.6), &json!(0.5)));
        assert_eq!(recipe["cells"][0]["fold"], 2);
        assert!(recipe["settings_toml"].is_null());
    }
}
