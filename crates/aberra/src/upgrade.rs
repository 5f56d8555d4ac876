//! Detector files of version 3, which held one variational autoencoder, as documents of this version: their scores are
//! the same to the last bit.

use aberra_models::{Tensors, Weight, prefixed, take_prefixed};
use serde_json::{Map, Value, json};

use crate::tensor_names::{embeddings_name, member_prefix};
use crate::{Error, Result};

/// The oldest version of detector files that is read.
pub(crate) const OLDEST: u32 = 3;

/// The name of the one member.
const MEMBER: &str = "vae";

/// Measurements of version 3 in the order of this version's, with the members that make them now.
const MEASUREMENTS: [(&str, &str); 11] = [
    (MEMBER, "squared_error"),
    (MEMBER, "absolute_error"),
    (MEMBER, "ssim_error"),
    (MEMBER, "weighted_error"),
    (MEMBER, "expected_error"),
    (MEMBER, "peak_error"),
    (MEMBER, "kl"),
    (MEMBER, "mahalanobis"),
    (MEMBER, "neighbour_distance"),
    ("image", "gradient_energy"),
    ("image", "standard_deviation"),
];

/// Settings of training that belong to the family now.
const MOVED_SETTINGS: [&str; 4] = ["beta", "beta_warmup_epochs", "free_bits_nats", "variance_warmup_epochs"];

/// The document and tensors of a detector file of version 3 as those of this version.
///
/// # Errors
/// A document of another layout.
pub(crate) fn from_version_3(mut document: Value, mut tensors: Tensors) -> Result<(Value, Tensors)> {
    let unfit = |what: &str| Error::detector(format!("the file of version 3 cannot be read: {what}"));
    let document = document.as_object_mut().ok_or_else(|| unfit("expected an object"))?;
    upgrade_settings(document).ok_or_else(|| unfit("expected settings of a model and its training"))?;
    let train = upgrade_normals(document).ok_or_else(|| unfit("expected evidence of its normals"))?;
    upgrade_scorers(document).ok_or_else(|| unfit("expected scorers with their parameters"))?;
    upgrade_provenance(document).ok_or_else(|| unfit("expected its provenance"))?;
    let names = MEASUREMENTS.map(|(member, name)| format!("{member}.{name}"));
    document.insert("measurements".to_owned(), json!(names));
    document.insert("map_weights".to_owned(), Value::Null);
    let kl = document.remove("kl_per_dimension").unwrap_or_else(|| json!([]));
    document.insert("kl_per_dimension".to_owned(), json!([kl]));

    let mu = tensors.remove("normals/mu").ok_or_else(|| unfit("the tensor normals/mu is missing"))?;
    let mu = mu.into_rows("normals/mu")?;
    let (reference, held_out) = mu.split_at_checked(train).ok_or_else(|| unfit("normals/mu is too short"))?;
    let mut member = take_prefixed(&mut tensors, "model/");
    member.insert("reference".to_owned(), Weight::from_rows(reference));
    tensors.extend(prefixed(member, &member_prefix(MEMBER)));
    tensors.insert(embeddings_name(MEMBER), Weight::from_rows(held_out));
    Ok((Value::Object(document.clone()), tensors))
}

fn upgrade_settings(document: &mut Map<String, Value>) -> Option<()> {
    let config = document.get_mut("config")?.as_object_mut()?;
    let mut moved = Map::new();
    let train = config.get_mut("train")?.as_object_mut()?;
    for name in MOVED_SETTINGS {
        moved.insert(name.to_owned(), train.shift_remove(name)?);
    }
    let model = config.get_mut("model")?.as_object_mut()?;
    model.insert("family".to_owned(), MEMBER.into());
    model.extend(moved);
    Some(())
}

/// Evidence by name becomes evidence in order. Returns the number of normals in training, which come first.
fn upgrade_normals(document: &mut Map<String, Value>) -> Option<usize> {
    let normals = document.get_mut("normals")?.as_array_mut()?;
    for normal in normals.iter_mut() {
        let evidence = normal.get_mut("evidence")?;
        let values = MEASUREMENTS.iter().map(|(_, name)| evidence.get(name).cloned());
        *evidence = Value::Array(values.collect::<Option<_>>()?);
    }
    Some(normals.iter().take_while(|normal| normal["part"] == "train").count())
}

fn upgrade_scorers(document: &mut Map<String, Value>) -> Option<()> {
    for scorer in document.get_mut("scorers")?.as_array_mut()? {
        let numbers: Option<Vec<f64>> =
            scorer.get("parameters")?.as_array()?.iter().map(Value::as_f64).collect();
        let name = scorer.get("name")?.as_str()?.to_owned();
        *scorer.get_mut("parameters")? = parameters(&name, &numbers?)?;
    }
    Some(())
}

/// The parameters of a scorer of version 3, a list of numbers, as those of this version.
fn parameters(scorer: &str, numbers: &[f64]) -> Option<Value> {
    let one = |name: &str| Some(json!({ "measurement": format!("{MEMBER}.{name}") }));
    match scorer {
        "mse" => one("squared_error"),
        "ssim" => one("ssim_error"),
        "uncertainty" => one("weighted_error"),
        "peak" => one("peak_error"),
        "latent" => one("neighbour_distance"),
        "residual" => residual(numbers),
        "fusion" => {
            let (scales, rest) = numbers.split_at_checked(6)?;
            Some(json!({
                "residual": residual(rest)?,
                "residual_scale": standard(&scales[..2]),
                "measurements": [view("neighbour_distance", &scales[2..4]), view("peak_error", &scales[4..])],
            }))
        }
        "typicality" => {
            let (statistics, rest) = numbers.split_at_checked(10)?;
            let (whitening, distances) = rest.split_at_checked(25)?;
            let names = ["squared_error", "weighted_error", "expected_error", "kl"].into_iter().map(full);
            let names = names.chain(["image.gradient_energy".to_owned()]);
            let statistics = names
                .zip(statistics.chunks_exact(2))
                .map(|(name, scale)| json!({ "measurement": name, "scale": standard(scale) }));
            let distances: &[f64; 6] = distances.try_into().ok()?;
            Some(json!({
                "statistics": statistics.collect::<Vec<_>>(),
                "whitening": whitening.chunks_exact(5).collect::<Vec<_>>(),
                "density_scale": standard(&distances[..2]),
                "measurements": [
                    view("neighbour_distance", &distances[2..4]), view("peak_error", &distances[4..])
                ],
            }))
        }
        _ => None,
    }
}

fn residual(numbers: &[f64]) -> Option<Value> {
    let [intercept, kl, gradient_energy, standard_deviation] = numbers else { return None };
    let predictor =
        |name: String, log: bool, slope: &f64| json!({ "measurement": name, "log": log, "slope": slope });
    Some(json!({
        "target": full("squared_error"),
        "intercept": intercept,
        "predictors": [
            predictor(full("kl"), false, kl),
            predictor("image.gradient_energy".to_owned(), true, gradient_energy),
            predictor("image.standard_deviation".to_owned(), true, standard_deviation),
        ],
    }))
}

fn view(name: &str, scale: &[f64]) -> Value {
    json!({ "measurement": full(name), "scale": standard(scale) })
}

fn standard(scale: &[f64]) -> Value {
    json!({ "mean": scale[0], "scale": scale[1] })
}

fn full(name: &str) -> String {
    format!("{MEMBER}.{name}")
}

fn upgrade_provenance(document: &mut Map<String, Value>) -> Option<()> {
    let provenance = document.get_mut("provenance")?.as_object_mut()?;
    let member = json!({
        "parameters": provenance.shift_remove("parameters")?,
        "best_epoch": provenance.shift_remove("best_epoch")?,
        "standardized_shift": provenance.shift_remove("synthetic_rise")?,
    });
    provenance.insert("device".to_owned(), Value::Null);
    provenance.insert("members".to_owned(), json!([member]));
    Some(())
}
