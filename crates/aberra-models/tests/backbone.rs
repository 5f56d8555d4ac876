//! The backbone's features against those of the published PyTorch implementation (made by `backbone/make.py`), and what
//! is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use aberra_models::{Backbone, Shape};
use burn::tensor::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// Largest difference relative to the largest magnitude of a block's outputs.
const TOLERANCE: f32 = 1e-4;

const WEIGHTS: &[u8] = include_bytes!("../backbone/efficientnet-lite0-10.safetensors");

#[derive(Deserialize)]
struct Case {
    shape: [usize; 3],
    blocks: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    block: usize,
    shape: [usize; 3],
    largest: f32,
    /// At every 7919th place, wrapped around.
    values: Vec<f32>,
    channel_means: Vec<f64>,
}

/// The picture of `make.py`: tiles, ramps and grain.
fn image([height, width, channels]: [usize; 3]) -> Vec<f32> {
    let places =
        (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..channels).map(move |c| (y, x, c))));
    let pixel = |(y, x, c)| {
        let grain = (x * 7919 + y * 104_729 + c * 1_299_709 + x * y * 31) % 97 % 40;
        let tiles = (x / 16 + y / 24 + c) % 3 * 60;
        ((tiles + x + 2 * y * (c + 1) / 3 + grain) % 256) as f32 / 255.0
    };
    places.map(pixel).collect()
}

fn shape([height, width, channels]: [usize; 3]) -> Shape {
    Shape { height, width, channels }
}

fn values(tensor: &Tensor<4>) -> Vec<f32> {
    tensor.clone().into_data().try_to_vec().unwrap()
}

fn backbone() -> Backbone {
    Backbone::embedded(&Device::flex()).unwrap()
}

#[test]
fn features_learnt_from_generated_images_neither_die_nor_explode() {
    let backbone = Backbone::generated(&Device::flex()).unwrap();
    assert_eq!(backbone.own_weights(), None);
    let image = image([96, 128, 3]);
    let features = backbone.features_of(&[&image], shape([96, 128, 3])).unwrap();
    for features in features {
        let (found, channels) = (values(&features), features.dims()[3]);
        let places = (found.len() / channels) as f32;
        for channel in 0..channels {
            let own = || found.iter().skip(channel).step_by(channels);
            let mean = own().sum::<f32>() / places;
            let deviation = (own().map(|value| (value - mean).powi(2)).sum::<f32>() / places).sqrt();
            assert!((0.005..5.0).contains(&deviation), "channel {channel}: {deviation}");
        }
    }
}

#[test]
fn own_weights_make_the_same_backbone_again() {
    let device = Device::flex();
    assert!(backbone().own_weights().is_none());
    // Other bytes of the same weights: the file's metadata differ.
    let tensors = SafeTensors::deserialize(WEIGHTS).unwrap();
    let metadata = Some([("from".to_owned(), "elsewhere".to_owned())].into());
    let file = safetensors::serialize(tensors.tensors(), metadata).unwrap();
    let own = Backbone::from_safetensors(&file, &device).unwrap();
    let weights = own.own_weights().unwrap().clone();
    assert_ne!(own.hash(), backbone().hash());
    let again = Backbone::from_own_weights(weights.clone(), own.hash(), &device).unwrap();
    assert_eq!((again.hash(), again.own_weights()), (own.hash(), Some(&weights)));
    let image = image([64, 64, 1]);
    let [own, again] = [own, again].map(|one| one.features_of(&[&image], shape([64, 64, 1])).unwrap());
    assert!(own.iter().zip(&again).all(|(own, again)| values(own) == values(again)));
}

#[test]
fn features_are_those_of_pytorch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/backbone.json")).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let features = backbone().features_of(&[&image(case.shape)], shape(case.shape)).unwrap();
        assert_eq!(case.blocks.len(), features.len());
        for (number, (found, expected)) in features.iter().zip(&case.blocks).enumerate() {
            let [height, width, channels] = expected.shape;
            assert_eq!(expected.block, Backbone::FEATURE_BLOCKS[number]);
            assert_eq!(channels, Backbone::CHANNELS[number]);
            assert_eq!(height, case.shape[0].div_ceil(Backbone::STRIDES[number]));
            assert_eq!(found.dims(), [1, height, width, channels]);
            let found = values(found);
            for (index, value) in expected.values.iter().enumerate() {
                let difference = (found[index * 7919 % found.len()] - value).abs() / expected.largest;
                assert!(difference <= TOLERANCE, "{:?}, block {}: {difference}", case.shape, expected.block);
            }
            for (channel, mean) in expected.channel_means.iter().enumerate() {
                let sum: f64 = found.iter().skip(channel).step_by(channels).copied().map(f64::from).sum();
                let difference = (sum / (height * width) as f64 - mean).abs() / f64::from(expected.largest);
                assert!(
                    difference <= f64::from(TOLERANCE),
                    "{:?}, channel {channel}: {difference}",
                    case.shape
                );
            }
        }
    }
}

#[test]
fn neither_batch_nor_threads_change_a_bit() {
    let (size, backbone) = ([71, 90, 3], backbone());
    let (first, second) = (image(size), image([90, 71, 3]));
    let on = |threads: usize, images: &[&[f32]]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| backbone.features_of(images, shape(size)).unwrap())
    };
    let alone = on(1, &[&first]);
    for (threads, images) in
        [(2, vec![&first[..]]), (7, vec![&first]), (3, vec![&first, &second]), (2, vec![&first; 5])]
    {
        for (alone, found) in alone.iter().zip(on(threads, &images)) {
            let alone = values(alone);
            assert!(values(&found)[..alone.len()] == alone, "{threads} threads, {} images", images.len());
        }
    }
}

#[test]
fn a_single_channel_is_used_as_all_three() {
    let (backbone, grey) = (backbone(), image([40, 50, 1]));
    let coloured: Vec<f32> = grey.iter().flat_map(|&value| [value; 3]).collect();
    let found = backbone.features_of(&[&grey], shape([40, 50, 1])).unwrap();
    let expected = backbone.features_of(&[&coloured], shape([40, 50, 3])).unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(values(found), values(expected));
    }
}

#[test]
fn images_that_are_too_small_or_of_other_channels_are_refused() {
    let refused = |size: [usize; 3]| {
        let error = backbone().features_of(&[&image(size)], shape(size)).unwrap_err();
        assert!(error.is_settings());
        error.to_string()
    };
    let expected = "backbone: expected images of at least 32 x 32 pixels and 1 or 3 channels, found";
    assert_eq!(refused([31, 50, 3]), format!("{expected} 31 x 50 x 3"));
    assert_eq!(refused([32, 32, 4]), format!("{expected} 32 x 32 x 4"));
    let error = backbone().features_of(&[&[0.5; 7]], shape([32, 32, 1])).unwrap_err();
    assert_eq!(error.to_string(), "expected an input of 32 x 32 x 1 values, found 7");
}

/// Element type, shape and bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// The message for the weights after a change.
fn message(change: impl FnOnce(&mut BTreeMap<String, Stored>)) -> String {
    let file = SafeTensors::deserialize(WEIGHTS).unwrap();
    let stored = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors = file.tensors().into_iter().map(|(name, view)| (name, stored(view))).collect();
    change(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let changed = safetensors::serialize(views, None).unwrap();
    let error = Backbone::from_safetensors(&changed, &Device::flex()).unwrap_err();
    assert!(error.is_settings());
    error.to_string()
}

#[test]
fn weights_of_another_network_are_refused() {
    let name = "blocks.3.project.bias";
    assert_eq!(
        message(|tensors| drop(tensors.remove(name))),
        format!("backbone: the weight {name} is missing")
    );
    assert_eq!(
        message(|tensors| tensors.get_mut(name).unwrap().1 = vec![8, 5]),
        format!("backbone: the weight {name}: expected shape [40], found [8, 5]")
    );
    let infinite = |tensors: &mut BTreeMap<String, Stored>| {
        tensors.get_mut(name).unwrap().2[..2].copy_from_slice(&[0, 0x7C])
    };
    assert_eq!(message(infinite), format!("backbone: the weight {name} holds values that are not finite"));
    let integers = |tensors: &mut BTreeMap<String, Stored>| tensors.get_mut(name).unwrap().0 = Dtype::I16;
    assert_eq!(
        message(integers),
        format!("backbone: the weight {name}: expected elements of type F16, BF16 or F32, found I16")
    );
    let extra =
        |tensors: &mut BTreeMap<String, Stored>| drop(tensors.insert("head".into(), tensors[name].clone()));
    assert_eq!(message(extra), "backbone: the network has no weight called head");
    let error = Backbone::from_safetensors(&WEIGHTS[..1000], &Device::flex()).unwrap_err();
    assert!(error.to_string().starts_with("backbone: expected a safetensors file"), "{error}");
}

#[test]
fn weights_are_named_by_their_hash_and_may_be_single_precision() {
    let file = SafeTensors::deserialize(WEIGHTS).unwrap();
    let widened: BTreeMap<String, (Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let halves = view.data().as_chunks().0.iter();
            let bytes =
                halves.flat_map(|&half| burn::tensor::f16::from_le_bytes(half).to_f32().to_le_bytes());
            (name, (view.shape().to_vec(), bytes.collect()))
        })
        .collect();
    let views = widened
        .iter()
        .map(|(name, (shape, data))| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let single = safetensors::serialize(views, None).unwrap();
    let single = Backbone::from_safetensors(&single, &Device::flex()).unwrap();
    let half = backbone();
    assert_eq!(half.hash(), blake3::hash(WEIGHTS).to_hex().as_str());
    assert_ne!(half.hash(), single.hash());
    let size = [32, 45, 3];
    let [found, expected] =
        [single, half].map(|backbone| backbone.features_of(&[&image(size)], shape(size)).unwrap());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(values(found), values(expected));
    }
}

#[test]
fn the_gradient_with_respect_to_the_image_agrees_with_finite_differences() {
    let size = [48, 33, 3];
    let pixels = image(size);
    let sum = |pixels: &[f32]| -> f64 {
        let features = backbone().features_of(&[pixels], shape(size)).unwrap();
        features.iter().map(|block| values(block).iter().copied().map(f64::from).sum::<f64>()).sum()
    };
    let device = Device::flex().autodiff();
    let data = burn::tensor::TensorData::new(pixels.clone(), [1, size[0], size[1], size[2]]);
    let images = Tensor::<4>::from_data(data, &device).require_grad();
    let features = Backbone::embedded(&device).unwrap().features(images.clone()).unwrap();
    let total = features.map(|block| block.sum()).into_iter().reduce(|sum, block| sum + block).unwrap();
    let gradient = images.grad(&total.backward()).unwrap();
    let gradient: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
    // Along the gradient itself the sum changes by its squared length.
    let squares: f64 = gradient.iter().map(|&value| f64::from(value).powi(2)).sum();
    let step = 2e-3 / squares.sqrt();
    let moved = |sign: f64| -> Vec<f32> {
        let along = pixels.iter().zip(&gradient);
        along.map(|(&pixel, &slope)| (f64::from(pixel) + sign * step * f64::from(slope)) as f32).collect()
    };
    let difference = (sum(&moved(1.0)) - sum(&moved(-1.0))) / (2.0 * step);
    assert!((difference / squares - 1.0).abs() < 0.02, "{difference} {squares}");
}
