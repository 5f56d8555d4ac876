//! Families, presets, scorers and measurements are named where they are written, and everything else reads their lists: the
//! settings' schema holds all of them, and the source of the other modules names none.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aberra::models::families::FAMILIES;
use aberra::models::measure::context;
use aberra::models::train::TrainSettings;
use aberra::models::{BackboneSource, FitContext, Inputs, Shape, preset};
use aberra::score::SCORERS;
use aberra::{TrainConfig, compute};

#[test]
fn the_schema_of_the_settings_holds_every_family_preset_and_scorer_with_what_it_is() {
    let schema = TrainConfig::json_schema().to_string();
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    for family in FAMILIES {
        assert!(schema.contains(&quoted(family.name())) && schema.contains(&quoted(family.about())));
        assert!(!family.presets().is_empty());
        for preset in family.presets() {
            assert!(schema.contains(&quoted(preset.name)), "{}: {}", family.name(), preset.name);
        }
        for setting in preset(*family, family.default_preset()).unwrap().keys() {
            assert!(schema.contains(&quoted(setting)), "{}: {setting}", family.name());
        }
    }
    for scorer in SCORERS {
        assert!(schema.contains(&quoted(scorer.name())) && schema.contains(&quoted(scorer.about())));
    }
}

/// Names that stand in code for another reason, or in a place that has to name one.
const EXCEPTIONS: [(&str, &str); 8] = [
    // A test-only member, and an example of a scorer that uses measurements.
    ("crates/aberra/src/custom.rs", "*"),
    ("crates/aberra/examples/custom_scorer.rs", "*"),
    // Files of version 3 held one variational autoencoder.
    ("crates/aberra/src/upgrade.rs", "*"),
    // The report that the tests of the page show.
    ("crates/aberra/src/report/example.rs", "*"),
    // The name of a figure, and of the file that holds it.
    ("crates/aberra/src/report/figures/mod.rs", "kl"),
    ("web/src/charts/KlBars.svelte", "kl"),
    // Plain reconstruction error, by which other scorers are measured.
    ("crates/aberra/src/evaluate/summary.rs", "mse"),
    ("web/src/views/Compare.svelte", "mse"),
];

/// Names that are also words: the latent space is a page of the report and of the app, and a setting of networks.
const WORDS: [&str; 1] = ["latent"];

/// Where families and measurements, and scorers, are written.
const HOMES: [&str; 2] = ["crates/aberra-models/src", "crates/aberra/src/score"];

#[test]
fn no_other_module_names_a_family_a_scorer_or_a_measurement() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let names = names();
    assert!(
        ["vqvae", "typicality", "peak_error", "gradient_energy"].iter().all(|name| names.contains(*name))
    );
    let mut files = Vec::new();
    for folder in ["crates", "web/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let place = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        if HOMES.iter().any(|home| place.starts_with(home)) {
            continue;
        }
        for name in named_in(&fs::read_to_string(&file).unwrap(), &names) {
            let known = |(path, known): &(&str, &str)| place == *path && (*known == "*" || *known == name);
            if !EXCEPTIONS.iter().any(known) && !WORDS.contains(&name.as_str()) {
                found.push(format!("{place} names {name}"));
            }
        }
    }
    assert!(found.is_empty(), "read the lists instead: {found:#?}");
}

#[test]
fn a_name_in_code_is_found_and_one_in_a_comment_or_a_test_is_not() {
    let names = BTreeSet::from(["vae".to_owned(), "peak_error".to_owned()]);
    let found = |text: &str| named_in(text, &names);
    assert_eq!(found("if family == \"vae\" {"), ["vae"]);
    assert_eq!(found("value('x.peak_error')"), ["peak_error"]);
    assert!(found("/// Such as \"vae\".\nlet vae = 1; // 'vae'\n\"vaes\"").is_empty());
    assert!(found("let a = 1;\n#[cfg(test)]\nmod tests { \"vae\" }").is_empty());
}

/// Brightens a square: a synthetic anomaly.
fn draw_square(pixels: &mut [f32], shape: Shape, _: u64, index: u64) -> Vec<bool> {
    let first = index as usize % (shape.width - 12);
    let inside = |at: usize| {
        (8..20).contains(&(at / shape.width)) && (first..first + 12).contains(&(at % shape.width))
    };
    (0..shape.area())
        .map(|at| {
            let drawn = inside(at);
            if drawn {
                pixels[at * shape.channels..][..shape.channels].fill(1.0);
            }
            drawn
        })
        .collect()
}

/// Every family, scorer and measurement.
fn names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = SCORERS.iter().map(|scorer| scorer.name().to_owned()).collect();
    names.extend(context::DESCRIPTORS.iter().map(|one| one.name.clone().into_owned()));
    let shape = Shape::square(32, 1);
    let pixels: Vec<Vec<f32>> = (0..8)
        .map(|at| (0..shape.len()).map(|pixel| ((at + pixel * 7) % 11) as f32 / 11.0).collect())
        .collect();
    let inputs = Inputs::of_pixels(shape, &pixels).unwrap();
    let train = TrainSettings { epochs: 1, ..TrainSettings::default() }.check().unwrap();
    for family in FAMILIES {
        names.insert(family.name().to_owned());
        let mut settings = preset(*family, family.default_preset()).unwrap();
        settings.entry("images").and_modify(|images| *images = 8.into());
        let instructions = compute::instructions().unwrap();
        let auto = compute::AutoPrecision::of_machine().unwrap().precision;
        let settings = family.resolve(&settings, shape, Some(auto)).unwrap();
        let mut observe = |_: aberra::models::train::Progress<'_>| Ok(std::ops::ControlFlow::Continue(()));
        let mut context = FitContext {
            seed: 1,
            device: compute::cpu(),
            backbone: BackboneSource::Embedded,
            instructions,
            train: train.clone(),
            observe: &mut observe,
            checkpoints: None,
            resume: false,
            judge: None,
            draw_anomaly: Some(draw_square),
        };
        let fitted = family.fit(&settings, &mut context, &inputs, &inputs).unwrap();
        names.extend(fitted.member.descriptors().iter().map(|one| one.name.clone().into_owned()));
    }
    names
}

/// Source files, without those of tests.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = ["tests", "test", "testing", "fixtures", "node_modules"].contains(&name.as_str());
        let is_source = ["rs", "ts", "svelte"].iter().any(|ending| name.ends_with(&format!(".{ending}")));
        if entry.is_dir() && !is_test {
            sources(&entry, files);
        } else if is_source
            && !name.contains(".test.")
            && !name.ends_with(".d.ts")
            && !name.starts_with("test")
        {
            files.push(entry);
        }
    }
}

/// The names that stand in quotes, alone or after a member's, outside comments and unit tests.
fn named_in(text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with(['/', '*'])) {
        let line = line.split(" // ").next().unwrap_or_default();
        for quote in ['"', '\''] {
            let quoted = line.split(quote).skip(1).step_by(2);
            let own = quoted.map(|text| text.rsplit_once('.').map_or(text, |(_, own)| own));
            found.extend(own.filter(|own| names.contains(*own)).map(str::to_owned));
        }
    }
    found
}
