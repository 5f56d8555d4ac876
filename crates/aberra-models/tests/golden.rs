//! Every family against PyTorch: what is inferred with given weights, losses, gradients and five steps of the optimiser
//! (`golden/make_families.py`), by the calls that fit and load detectors.
//!
//! A checkpoint before the first step brings the weights in; those after each epoch, which is one step, bring them out,
//! and the first step's gradients as the first moments they gave.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aberra_kernels::InstructionSet;
use aberra_metrics::Result;
use aberra_metrics::random::{Stream, generator};
use aberra_models::families::FAMILIES;
use aberra_models::measure::Want;
use aberra_models::network::Precision;
use aberra_models::train::{Checkpoint, Checkpoints, EpochRecord, Progress, TrainSettings};
use aberra_models::{
    BackboneSource, Family, FitContext, Inputs, Platform, Settings, Shape, SharedMember, Tensors, Weight,
    find, prefixed, take_prefixed,
};
use burn::tensor::Device;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Seed of all draws.
const SEED: u64 = 7;
/// Number of the first held-out image.
const FIRST_HELD_OUT: usize = 500;
/// Values stored of a large tensor.
const SAMPLES: usize = 160;
/// Share of the gradient that the first step's first moment is.
const FIRST_SHARE: f32 = 1.0 - 0.9;

/// Largest differences from PyTorch: of losses and their terms, in any step, relative to each; of gradients, and of weights
/// after the last step, relative to a tensor's largest value.
struct Tolerances {
    losses: f64,
    gradients: f64,
    weights: f64,
}

/// Largest difference of reconstructions, embeddings and measurements before training, relative to the largest value.
const OF_INFERRED: f64 = 1e-5;

/// What is found is 2e-6, 1e-5 and 2e-6.
const CONVOLUTIONAL: Tolerances = Tolerances { losses: 2e-5, gradients: 1e-4, weights: 2e-5 };

/// At 256 px some activations lie so near their kink that rounding decides on which side. PyTorch's own gradients in single
/// and in double precision differ by up to 1e-3 here, and Adam's first steps do not get smaller with the gradient.
const RESIDUAL: Tolerances = Tolerances { losses: 1e-3, gradients: 2e-3, weights: 2e-2 };

/// A model, how it is trained, and what PyTorch found.
struct Case {
    name: String,
    family: &'static dyn Family,
    settings: Settings,
    shape: Shape,
    train: TrainSettings,
    weights: Tensors,
    /// Training images, held-out images.
    images: [Vec<Vec<f32>>; 2],
    /// Biases that have no gradient, because a normalisation takes them out.
    idle: Vec<String>,
    /// Losses and other numbers of each epoch.
    epochs: Vec<Value>,
    /// Stored values by name.
    expected: BTreeMap<String, Vec<f32>>,
}

fn cases() -> Vec<Case> {
    let file = include_bytes!("golden/families.safetensors");
    let (_, metadata) = SafeTensors::read_metadata(file).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["cases"]).unwrap();
    let tensors = SafeTensors::deserialize(file).unwrap();
    let expected = |case: &str| {
        let of_case = tensors.iter().filter_map(|(name, view)| {
            let values =
                view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            Some((name.strip_prefix(case)?.strip_prefix('/')?.to_owned(), values.collect()))
        });
        of_case.collect()
    };
    cases.iter().map(|case| Case::new(case, expected(case["name"].as_str().unwrap()))).collect()
}

impl Case {
    fn new(case: &Value, expected: BTreeMap<String, Vec<f32>>) -> Self {
        let family = find(FAMILIES, case["family"].as_str().unwrap()).unwrap();
        let sides: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
        let shape = Shape { height: sides[0], width: sides[1], channels: sides[2] };
        let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_value(case["weights"].clone()).unwrap();
        let fresh_codes = case["fresh_codes"].as_bool().unwrap();
        let weights = shapes.into_iter().zip(1..).map(|((name, shape), number)| {
            let values = initial(&name, &shape, number, fresh_codes);
            (name, Weight { shape, values })
        });
        let images = |first: usize, count: &Value| {
            let numbers = first..first + count.as_u64().unwrap() as usize;
            numbers.map(|number| image(number, shape)).collect()
        };
        let settings = case["settings"].as_object().unwrap();
        Self {
            name: case["name"].as_str().unwrap().to_owned(),
            family,
            settings: family.resolve(settings, shape, Some(Precision::F32)).unwrap(),
            shape,
            train: serde_json::from_value(case["train"].clone()).unwrap(),
            weights: weights.collect(),
            images: [
                images(case["first_image"].as_u64().unwrap() as usize, &case["images"]),
                images(FIRST_HELD_OUT, &case["held_out"]),
            ],
            idle: serde_json::from_value(case["idle"].clone()).unwrap(),
            epochs: case["epochs"].as_array().unwrap().clone(),
            expected,
        }
    }

    /// A member with the initial weights.
    fn member(&self) -> SharedMember {
        const TRAINING_NORMALS: usize = 20;
        let dimensions = self.expected["inferred/embedding"].len() / self.images[1].len();
        let values = noise(TRAINING_NORMALS * dimensions, 1).map(|value| value as f32).collect();
        let mut tensors = self.weights.clone();
        tensors.insert("reference".into(), Weight { shape: vec![TRAINING_NORMALS, dimensions], values });
        self.family.load(&self.settings, self.shape, tensors, &Platform::new(Device::flex())).unwrap()
    }

    /// Trains from the initial weights: each epoch's record, the checkpoints after each, and the member.
    fn fit(&self) -> (Vec<EpochRecord>, Vec<Checkpoint>, SharedMember) {
        let [train, held_out] =
            [0, 1].map(|which| Inputs::of_pixels(self.shape, &self.images[which]).unwrap());
        let mut records = Vec::new();
        let mut observe = |progress: Progress<'_>| {
            if let Progress::Epoch { record, .. } = progress {
                records.push(record.clone());
            }
            Ok(ControlFlow::Continue(()))
        };
        let mut kept = Kept { first: self.weights.clone(), written: Vec::new() };
        let mut context = FitContext {
            seed: SEED,
            device: Device::flex(),
            backbone: BackboneSource::Embedded,
            instructions: InstructionSet::widest(),
            train: self.train.clone().check().unwrap(),
            observe: &mut observe,
            checkpoints: Some(&mut kept),
            resume: true,
            judge: None,
            draw_anomaly: None,
        };
        let fitted = self.family.fit(&self.settings, &mut context, &train, &held_out).unwrap();
        assert_eq!(fitted.epoch, self.train.epochs);
        (records, kept.written, fitted.member)
    }

    /// Compares each of `found` with the values that are stored, joined in the order of their names.
    fn compare_joined(&self, name: &str, found: &Tensors, tolerance: f64) {
        let mut rest = self.expected[name].as_slice();
        for (weight, found) in found {
            let (expected, after) = rest.split_at(found.values.len().min(SAMPLES));
            self.compare(&format!("{name} {weight}"), &found.values, expected, tolerance);
            rest = after;
        }
        assert!(rest.is_empty(), "{} {name}: {} values too many", self.name, rest.len());
    }

    /// Compares `found` with stored values: the largest difference may be `tolerance` of the largest value.
    fn compare(&self, name: &str, found: &[f32], expected: &[f32], tolerance: f64) {
        let stored = found.len().min(SAMPLES);
        assert_eq!(expected.len(), stored, "{} {name}", self.name);
        let at = |index: usize| {
            if found.len() > SAMPLES { found[index * 7919 % found.len()] } else { found[index] }
        };
        let largest = expected.iter().fold(0.0, |most, value| f64::max(most, f64::from(value.abs())));
        let difference = expected.iter().enumerate().map(|(index, expected)| {
            let difference = f64::from(at(index)) - f64::from(*expected);
            assert!(difference.is_finite(), "{} {name}: {}", self.name, at(index));
            difference.abs()
        });
        let difference = difference.fold(0.0, f64::max);
        assert!(
            difference <= tolerance * largest,
            "{} {name}: expected at most {:.2e} beside PyTorch's, found {difference:.2e} where the largest value is \
             {largest:.2e}",
            self.name,
            tolerance * largest
        );
    }
}

/// Begins with given weights, and keeps every checkpoint that is written.
struct Kept {
    first: Tensors,
    written: Vec<Checkpoint>,
}

impl Checkpoints for Kept {
    fn read(&mut self) -> Result<Option<Checkpoint>> {
        let position = json!({
            "epoch": 0,
            "step_in_epoch": 0,
            "sums": { "images": 0, "terms": [] },
            "best": null,
            "checks_since_best": 0,
        });
        let tensors = prefixed(self.first.clone(), "weights/").collect();
        Ok(Some(Checkpoint { state: json!({ "position": position, "step": 0 }), tensors }))
    }

    fn write(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.written.push(checkpoint.clone());
        Ok(())
    }

    fn place(&self) -> Option<String> {
        None
    }
}

#[test]
fn inferred_with_given_weights_as_by_pytorch() {
    let mut compared = 0;
    for case in cases().iter().filter(|case| case.expected.contains_key("inferred/embedding")) {
        let member = case.member();
        let images: Vec<&[f32]> = case.images[1].iter().map(Vec::as_slice).collect();
        let inferred = member.infer(&images, Want::ALL).unwrap();
        for (name, expected) in &case.expected {
            let Some(name) = name.strip_prefix("inferred/") else { continue };
            let of_image = |at: usize| -> Vec<f32> {
                match name {
                    "reconstruction" => inferred[at].reconstruction.clone().unwrap(),
                    "embedding" => inferred[at].embedding.clone().unwrap().mean,
                    _ => {
                        let descriptors = member.descriptors().iter();
                        let of_name =
                            descriptors.zip(&inferred[at].measurements).find(|(d, _)| d.name == name);
                        vec![*of_name.unwrap().1 as f32]
                    }
                }
            };
            let found: Vec<f32> = (0..images.len()).flat_map(of_image).collect();
            case.compare(name, &found, expected, OF_INFERRED);
            compared += 1;
        }
    }
    assert_eq!(compared, 14 * 2 + 6 + 2);
}

#[test]
fn losses_gradients_and_five_steps_as_by_pytorch() {
    let cases = cases();
    assert_eq!(cases.len(), 15);
    for case in &cases {
        let tolerances = if case.settings.get("architecture") == Some(&json!("residual")) {
            RESIDUAL
        } else {
            CONVOLUTIONAL
        };
        let (records, checkpoints, member) = case.fit();
        assert_eq!((records.len(), checkpoints.len()), (5, 5), "{}", case.name);
        for (record, expected) in records.iter().zip(&case.epochs) {
            let close = |name: &str, found: f64, expected: &Value| {
                let expected = expected.as_f64().unwrap();
                let epoch = record.epoch;
                assert!(
                    (found - expected).abs() <= tolerances.losses * expected.abs(),
                    "{} {name} of epoch {epoch}: {found}, {expected}",
                    case.name
                );
            };
            for (name, record) in [("train", &record.train), ("held_out", &record.held_out)] {
                let terms = expected[name].as_object().unwrap();
                assert_eq!(terms.len(), record.terms.len(), "{}", case.name);
                terms.iter().for_each(|(term, expected)| close(term, record.terms[term], expected));
            }
            close("total", record.train.total, &expected["totals"]["train"]);
            close("held-out total", record.held_out.total, &expected["totals"]["held_out"]);
            for (name, expected) in expected["figures"].as_object().unwrap() {
                close(name, record.figures[name], expected);
            }
        }

        let mut first = checkpoints[0].tensors.clone();
        let mut gradients = take_prefixed(&mut first, "first-moment/");
        for gradient in gradients.values_mut() {
            gradient.values.iter_mut().for_each(|value| *value /= FIRST_SHARE);
        }
        let trained = case.weights.keys().filter(|name| !name.contains(".running_"));
        let trained: Vec<&String> = trained.filter(|name| !case.idle.contains(name)).collect();
        assert_eq!(gradients.keys().collect::<Vec<_>>(), trained, "{}", case.name);
        case.compare_joined("gradient", &gradients, tolerances.gradients);

        let mut last = checkpoints[4].tensors.clone();
        let mut weights = take_prefixed(&mut last, "weights/");
        // It is counted when training has ended.
        weights.retain(|name, _| !name.ends_with("running_usage"));
        case.compare_joined("trained", &weights, tolerances.weights);
        let fitted = member.tensors();
        assert!(weights.iter().all(|(name, weight)| fitted[name] == *weight), "{}", case.name);
    }
}

/// What PyTorch is to use in place of the draws of training is what training draws. With `ABERRA_UPDATE=1` the file is
/// written anew.
#[test]
fn draws_of_the_golden_files_are_those_of_training() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/draws.json");
    let draws = draws();
    if std::env::var_os("ABERRA_UPDATE").is_some() {
        std::fs::write(FILE, format!("{draws}\n")).unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    assert!(
        alike(&kept, &draws),
        "golden/draws.json is not what training draws: run ABERRA_UPDATE=1 cargo test --workspace --locked --test \
         golden draws, then golden/make_families.py"
    );
}

/// For each of five steps: the order of so many images, noise of latents and images, and which of so many embeddings codes
/// restart at.
fn draws() -> Value {
    let of_steps = |draw: &dyn Fn(u64) -> Value| (0..5).map(draw).collect::<Value>();
    let order = |images: usize| {
        of_steps(&|step| {
            let mut order: Vec<usize> = (0..images).collect();
            order.shuffle(&mut generator(SEED, Stream::Order, step));
            json!(order)
        })
    };
    let normals = |stream: Stream, count: usize| {
        of_steps(&|step| {
            let draws = StandardNormal.sample_iter(generator(SEED, stream, step)).take(count);
            json!(draws.collect::<Vec<f32>>())
        })
    };
    let codes = |embeddings: u64| {
        of_steps(&|step| {
            let mut random = generator(SEED, Stream::Codebook, step);
            json!((0..24).map(|_| random.random_range(0..embeddings)).collect::<Vec<u64>>())
        })
    };
    json!({
        "order": { "3": order(3), "4": order(4) },
        "latent": normals(Stream::Latent, 48),
        "corruption": normals(Stream::Corruption, 360),
        "codebook": { "16": codes(16), "24": codes(24) },
    })
}

/// Equal up to the last digits of normal draws, which differ between platforms.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| alike(a, b)))
        }
        _ => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs(),
            _ => a == b,
        },
    }
}

/// Stripes whose slope depends on the image, and a little noise, `[height, width, channels]`.
fn image(number: usize, shape: Shape) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
    let values = places.flat_map(|(y, x)| (0..channels).map(move |channel| (y, x, channel)));
    let wave = |(y, x, channel): (usize, usize, usize)| {
        let place = (y * (2 + number % 3) + x * 3 + number * 5 + channel * 11) % 32;
        place.abs_diff(16) as f64
    };
    let noise = noise(shape.len(), 1000 + number as u64);
    values.zip(noise).map(|(place, noise)| (0.25 + wave(place) / 32.0 + noise / 16.0) as f32).collect()
}

/// The weights before training of the tensor of this number, counted from 1.
fn initial(name: &str, shape: &[usize], number: u64, fresh_codes: bool) -> Vec<f32> {
    let terms: usize = shape[..shape.len() - 1].iter().product();
    let scale = 2.0_f64.powi(1 - (terms.ilog2() / 2) as i32);
    let value = |noise: f64| match name.rsplit('.').next().unwrap() {
        "weight" => noise * scale,
        "bias" | "shift" => noise / 8.0,
        "running_mean" => noise / 4.0,
        "scale" => 1.0 + noise / 4.0,
        "running_variance" => 1.0 + noise / 2.0,
        "running_usage" => 0.0,
        _ if fresh_codes => 0.0,
        "running_counts" => (1.0 + noise).powi(3),
        "running_sums" => noise * 2.0,
        other => panic!("no initial values are known for weights called {other}"),
    };
    noise(shape.iter().product(), number).map(|noise| value(noise) as f32).collect()
}

/// Values in [-1, 1) that single precision represents exactly.
fn noise(count: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f64 - f64::from(1 << 23)) / f64::from(1 << 23)
    })
}
