//! Settings: a file, and single assignments as variables and flags hold them. What is accepted reads back as the same.

use aberra::{SettingsLayer, SettingsOrigin, TrainConfig};
use rand_chacha::ChaCha8Rng;

use crate::mutate::bytes;

const TOKENS: &[&str] = &[
    "[model]",
    "[[model]]",
    "[train]",
    "[split]",
    "[promise]",
    "[preprocessing]",
    "[limits]",
    "family",
    "preset",
    "vae",
    "autoencoder",
    "vqvae",
    "features",
    "feature-vae",
    "discriminator",
    "channels",
    "latent",
    "hidden",
    "epochs",
    "batch_size",
    "learning_rate",
    "criterion",
    "size_px",
    "tiles",
    "seed",
    "scorer",
    "rate",
    "confidence",
    "false_alarm_rate",
    "backbone",
    "name",
    "weight",
    "precision",
    "auto",
    "none",
    "true",
    "false",
    "nan",
    "inf",
    "-1",
    "0x10",
    "1e400",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "'",
    "\"\"\"",
    ".",
    "1979-05-27",
    "#",
];

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<String> = [
        "",
        "seed = 3\n[model]\npreset = \"peer\"\nlatent = 7\n[train]\nepochs = 5",
        "preprocessing.size_px = 32\ntrain.epochs = 2\nsplit.by = 'none'\npromise.false_alarm_rate = 0.1\n[model]\nfamily = 'vae'\nchannels = [4, 8]",
        "scorer = 'fusion'\n[[model]]\nfamily = 'features'\n[[model]]\nfamily = 'vae'\nname = 'second'\nseed = 4",
        "[model]\nfamily = 'vqvae'\ncodes = 8\ncode_dimensions = 4",
        "[model]\nfamily = 'discriminator'",
        "[model]\nfamily = 'feature-vae'",
        "[model]\nfamily = 'autoencoder'\nlatent = 4\nhidden = 16\n[preprocessing]\ntiles = '2x3'\n[limits]\nmax_bytes = 1000",
        "train.epochs = 'many'",
        "set train.epochs=20",
        "set model.latent=8",
        "set split.by=exact",
        "set limits.max_pixels=1e3",
    ]
    .map(str::to_owned)
    .to_vec();
    seeds.push(TrainConfig::default().to_toml().unwrap());
    seeds.into_iter().map(String::into_bytes).collect()
}

pub(super) fn mutate(rng: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    bytes(rng, input, other, TOKENS)
}

/// A file of settings; or one assignment, behind the word `set`.
pub(super) fn run(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let table = match text.strip_prefix("set ") {
        Some(assignment) => TrainConfig::assignment_layer(assignment),
        None => TrainConfig::parse_layer(&text),
    };
    let table = match table {
        Ok(table) => table,
        Err(error) => return error.to_string(),
    };
    let origin = Some(SettingsOrigin::Flag("ORIGIN".to_owned()));
    let config = match TrainConfig::from_sources(&[SettingsLayer { table, origin }]) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    let written = config.to_toml().expect("settings that were accepted can be written");
    let again = TrainConfig::parse_layer(&written).and_then(|table| TrainConfig::from_layers(&[table]));
    let again = again.unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(config, again, "other settings when written and read again:\n{written}");
    let members: Vec<&str> = config.members().iter().map(|member| member.name.as_str()).collect();
    format!("{} {members:?}", config.scorer)
}
