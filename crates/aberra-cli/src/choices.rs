//! Help texts that list families, presets and scorers. They are built from the library's lists when help is printed, so
//! that a new family or scorer appears without another change.

use aberra::models::Family;
use aberra::models::families::{DEFAULT_FAMILY, FAMILIES};
use aberra::score::{DEFAULT_SCORER, SCORERS};

/// Help of `--family`.
pub(crate) fn families() -> String {
    let lines = FAMILIES.iter().map(|family| (family.name(), family.about().to_owned()));
    listing("The family of models to fit", DEFAULT_FAMILY, lines)
}

/// Help of `--families`.
pub(crate) fn compared_families() -> String {
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name()).collect();
    format!("Families of models to compare, separated by commas [default: {}]", names.join(","))
}

/// Help of `--preset`.
pub(crate) fn presets() -> String {
    let presets = |family: &&dyn Family| {
        let names = family.presets().iter().map(|preset| {
            let size = preset.size_px.map(|size_px| format!("{size_px} px"));
            let default = (preset.name == family.default_preset()).then(|| "default".to_owned());
            let words: Vec<String> = size.into_iter().chain(default).collect();
            if words.is_empty() {
                preset.name.to_owned()
            } else {
                format!("{} ({})", preset.name, words.join(", "))
            }
        });
        format!("- {}: {}", family.name(), names.collect::<Vec<_>>().join(", "))
    };
    let lines: Vec<String> = FAMILIES.iter().map(presets).collect();
    format!(
        "Named settings of the model, which other settings override, by family; with the --size that is the default with \
         it:\n{}",
        lines.join("\n")
    )
}

/// Help of `--scorer`.
pub(crate) fn scorers() -> String {
    let lines = SCORERS.iter().map(|scorer| (scorer.name(), scorer.about().to_owned()));
    listing("The scorer, which combines an image's measurements into its score", DEFAULT_SCORER, lines)
}

fn listing(intro: &str, default: &str, choices: impl Iterator<Item = (&'static str, String)>) -> String {
    let line = |(name, about): (&str, String)| format!("- {name}: {about}");
    format!("{intro} [default: {default}]:\n{}", choices.map(line).collect::<Vec<_>>().join("\n"))
}
