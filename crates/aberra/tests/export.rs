//! Exported models: every family with every scorer that it can have is written, run by another runtime, and agrees.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::path::Path;

use aberra::dataset::{Dataset, OpenOptions};
use aberra::export::{Axis, ExportOptions, OnnxModel};
use aberra::image::{Color, Limits, encode_png, read};
use aberra::models::families::FAMILIES;
use aberra::phantom::{PhantomDataset, write_dataset};
use aberra::random::{Stream, generator};
use aberra::score::SCORERS;
use aberra::{Detector, TrainConfig};
use rand::RngExt;

const SIZE_PX: usize = 32;

fn dataset(folder: &Path) -> Dataset {
    let slices = PhantomDataset {
        seed: 1,
        size_px: SIZE_PX,
        train_normals: 60,
        test_normals: 0,
        anomalies_per_kind: 0,
    };
    write_dataset(folder, &slices).unwrap();
    Dataset::open(folder, &OpenOptions::default()).unwrap()
}

/// A small detector.
fn trained(dataset: &Dataset, settings: &str) -> aberra::Result<Detector> {
    let common = format!(
        "preprocessing.size_px = {SIZE_PX}\ntrain.epochs = 20\ntrain.least_steps = 0\nsplit.by = 'none'
         promise.false_alarm_rate = 0.1\n{settings}"
    );
    let config = TrainConfig::from_layers(&[TrainConfig::parse_layer(&common)?])?;
    Detector::train(dataset, &config)
}

fn export(detector: &Detector) -> OnnxModel {
    detector.export(&ExportOptions { evidence: true, ..ExportOptions::default() }).unwrap()
}

#[test]
fn every_family_with_every_scorer_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let mut exported = Vec::new();
    for family in FAMILIES {
        let small = match family.name() {
            "discriminator" => "images = 64",
            "feature-vae" => "images = 64\npictures = 32",
            "features" => "bank = 64",
            // After the warm-up, so that what the evidence varies by is more than rounding.
            "vae" => {
                "precision = 'f32'\nchannels = [8, 16]\nvariance_warmup_epochs = 1\nbeta_warmup_epochs = 1"
            }
            _ => "precision = 'f32'\nchannels = [8, 16]",
        };
        for scorer in SCORERS {
            let (family, scorer) = (family.name(), scorer.name());
            let settings = format!("scorer = '{scorer}'\n[model]\nfamily = '{family}'\n{small}");
            let detector = match trained(&dataset, &settings) {
                Ok(detector) => detector,
                Err(error) if error.to_string().contains("which no member of this detector makes") => {
                    continue;
                }
                Err(error) => panic!("{family}, {scorer}: {error}"),
            };
            let model = detector.export(&ExportOptions { evidence: true, ..ExportOptions::default() });
            let model = model.unwrap_or_else(|error| panic!("{family}, {scorer}: {error}"));
            let proof = model.description.proof.unwrap();
            assert!(proof.holds() && proof.batches == [1, 17], "{family}, {scorer}: {proof}");
            exported.push(format!("{family} {scorer}"));
        }
    }
    // Those of a family that makes what the scorer needs.
    let count = |family: &str| exported.iter().filter(|one| one.split(' ').next() == Some(family)).count();
    let counts = FAMILIES.iter().map(|family| count(family.name()));
    assert_eq!(counts.collect::<Vec<_>>(), [9, 7, 7, 1, 2, 1], "{exported:?}");
}

#[test]
fn other_networks_and_likelihoods_agree() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for settings in [
        "normalization = 'batch'\nhidden = 24\nactivation = 'leaky-relu'\nlikelihood = { kind = 'bernoulli' }",
        "normalization = 'batch'\nlikelihood = { kind = 'laplace', scale = 0.1 }",
        "input_range = 'symmetric'\nlikelihood = { kind = 'gaussian', variance = 0.02 }",
    ] {
        let settings = format!("[model]\nfamily = 'vae'\nprecision = 'f32'\nchannels = [8, 16]\n{settings}");
        export(&trained(&dataset, &settings).unwrap());
    }
    let colours =
        "preprocessing.color = 'rgb'\n[model]\nfamily = 'discriminator'\nimages = 64\ndetail = 0\nbank = 32";
    let model = export(&trained(&dataset, colours).unwrap());
    assert_eq!(model.description.input.shape[3], Axis::Length(3));
}

/// Discs on a bright background: what is background was learnt, is kept in the file, and is the same in the exported model.
#[test]
fn bright_backgrounds_agree() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..60 {
        let mut random = generator(5, Stream::Phantom, number);
        let [row, column]: [f32; 2] = [0, 1].map(|_| random.random_range(15.0..17.0));
        let shade = random.random_range(60..100);
        let pixel = |at: usize| {
            let away = ((at / SIZE_PX) as f32 - row).hypot((at % SIZE_PX) as f32 - column);
            random.random_range(0..25) + if away < 11.0 { shade } else { 200 }
        };
        let pixels: Vec<u8> = (0..SIZE_PX * SIZE_PX).map(pixel).collect();
        let png = encode_png(&pixels, SIZE_PX, SIZE_PX, Color::Grey).unwrap();
        std::fs::create_dir_all(folder.path().join("good")).unwrap();
        std::fs::write(folder.path().join(format!("good/{number:02}.png")), png).unwrap();
    }
    let dataset = Dataset::open(folder.path(), &OpenOptions::default()).unwrap();
    let image = read(&dataset.samples[0].path, &Limits::default()).unwrap();
    for (settings, object, whole) in [
        ("family = 'features'\nbank = 64", "features.object_all", "features.whole_all"),
        ("family = 'feature-vae'\nimages = 64", "feature-vae.top_error", "feature-vae.mean_error"),
        (
            "family = 'discriminator'\nimages = 64\nbank = 32",
            "discriminator.top_logit",
            "discriminator.mean_logit",
        ),
    ] {
        let detector = trained(&dataset, &format!("[model]\n{settings}")).unwrap();
        assert!(detector.members()[0].member.tensors().contains_key("background"), "{settings}");
        let evidence = |detector: &Detector| {
            let verdict = detector.score(std::slice::from_ref(&image)).pop().unwrap().unwrap();
            let number = |name| detector.descriptors().iter().position(|one| one.name == name).unwrap();
            [object, whole].map(|name| verdict.evidence.0[number(name)])
        };
        let [of_object, of_whole] = evidence(&detector);
        assert_ne!(of_object, of_whole, "{settings}");
        let read_again = Detector::from_bytes(&detector.to_bytes().unwrap()).unwrap();
        assert_eq!(evidence(&read_again), [of_object, of_whole]);
        let proof = export(&detector).description.proof.unwrap();
        assert!(proof.holds(), "{settings}: {proof}");
    }
}

#[test]
fn several_members_are_one_model_that_is_proved_on_given_images() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let settings = "[[model]]\nfamily = 'features'\nbank = 64\n[[model]]\nfamily = 'feature-vae'\nimages = 64
                    [[model]]\nfamily = 'vae'\nsize_px = 16\nchannels = [8]\nprecision = 'f32'";
    let detector = trained(&dataset, settings).unwrap();
    let images: Vec<_> =
        dataset.samples[..3].iter().map(|sample| read(&sample.path, &Default::default()).unwrap()).collect();
    let model = detector.export(&ExportOptions { images, ..ExportOptions::default() }).unwrap();
    let proof = model.description.proof.as_ref().unwrap();
    assert!(proof.images == 20 && proof.reconstruction_difference.is_some(), "{proof}");
    let names: Vec<&str> = model.description.outputs.iter().map(|output| output.name).collect();
    assert_eq!(names, ["score", "p_value", "anomalous", "map", "reconstruction"]);
    // Without the evidence, what the score does not need is left out.
    assert!(model.file.len() < export(&detector).file.len());
    let path = folder.path().join("several.onnx");
    assert_eq!(model.save(&path).unwrap(), folder.path().join("several.json"));
    assert_eq!(std::fs::read(path).unwrap(), model.file);
}

/// Sums in another order round to another bfloat16 here and there.
#[test]
fn rounding_to_bfloat16_is_repeated_and_agrees_as_far_as_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[model]\nfamily = 'vae'\nprecision = 'bf16'\nchannels = [8, 16]";
    let proof = export(&trained(&dataset(folder.path()), settings).unwrap()).description.proof.unwrap();
    assert!(proof.holds() && proof.tolerance == 1e-2, "{proof}");
    assert!(proof.reconstruction_difference.unwrap() < 2e-3, "{proof}");
}

#[test]
fn tiles_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "preprocessing.tiles = '2x2'\n[model]\nfamily = 'autoencoder'\nchannels = [8]";
    let detector = trained(&dataset(folder.path()), settings).unwrap();
    let error = detector.export(&ExportOptions::default()).unwrap_err();
    assert!(error.is_settings() && error.to_string().contains("found one of 4 tiles"), "{error}");
    assert!(error.hint().is_some());
}
