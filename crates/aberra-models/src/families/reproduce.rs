//! What families whose network reproduces images have in common: settings, fitting, loading, forward passes in batches, and
//! the measurements of each image's reconstruction and embedding.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::perceptual::Perceptual;
use crate::backbone::Platform;
use crate::family::{Family, Fitted, Preset, Settings, parse, schema_of, to_settings};
use crate::graph::{Graph, GraphInference, Value};
use crate::inputs::Inputs;
use crate::measure::reconstruction::{Errors, Reconstruction, channel_error_maps, error_map};
use crate::measure::reconstruction_graph::{ReconstructionGraph, error_maps_graph};
use crate::measure::reference::Reference;
use crate::measure::{Descriptor, Embedding, Inference, Want};
use crate::member::{Decoder, Member, Prior, SharedMember};
use crate::network::{FORWARD_BATCH, Precision};
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, count_parameters, load_weights, rows, weights};
use crate::train::{FitContext, Trainable};

/// A network's output for one image.
pub(super) struct Reproduced {
    /// The reconstruction, `[height, width, channels]`, 0 to 1.
    pub(super) mean: Vec<f32>,
    /// Log-variance of each pixel, where it is predicted.
    pub(super) log_variance: Option<Vec<f32>>,
    pub(super) embedding: Embedding,
    /// Measurements that the family alone makes.
    pub(super) own: Vec<f64>,
}

/// A network's output in a graph.
pub(super) struct ReproducedGraph {
    pub(super) reconstruction: ReconstructionGraph,
    /// The position in the embedding space, `[dimensions]`.
    pub(super) embedding: Value,
    /// Measurements that the family alone makes.
    pub(super) own: Vec<Value>,
}

/// A network that reproduces images: everything in which one such family differs from another.
pub(super) trait Reproduce: Trainable + Debug + Send + Sync + 'static {
    /// The family's name.
    const NAME: &'static str;
    /// What the family is, in one line.
    const ABOUT: &'static str;
    /// The family's named settings.
    const PRESETS: &'static [Preset];
    /// The preset that is used by default.
    const DEFAULT_PRESET: &'static str;
    /// The measurements, in the order of [`measurements`](Self::measurements).
    const DESCRIPTORS: &'static [Descriptor];
    /// The family's settings.
    type Settings: Serialize + DeserializeOwned + Default + JsonSchema;

    /// # Errors
    /// A setting out of its range, or one that does not fit the shape.
    fn check(settings: &Self::Settings, shape: Shape) -> Result<()>;

    /// The setting that depends on the processor.
    fn precision_of(settings: &mut Self::Settings) -> &mut Precision;

    /// A network with initial weights drawn from `seed`, without one for weights that are loaded. The settings are checked.
    fn init(settings: &Self::Settings, shape: Shape, seed: Option<u64>, device: &Device) -> Self;

    /// Weight of the perceptual loss.
    fn perceptual_weight(settings: &Self::Settings) -> f64;

    /// The network with what its perceptual loss needs.
    fn with_perceptual(self, perceptual: Perceptual) -> Self;

    /// The network once it is trained, with what is learnt from the training normals then.
    fn trained(self, _train: &Inputs<'_>) -> Result<Self> {
        Ok(self)
    }

    fn shape(&self) -> Shape;

    /// Dimensions of the embedding space.
    fn dimensions(&self) -> usize;

    /// The network's outputs for a batch that fits in one forward pass.
    fn forward(&self, inputs: &[&[f32]]) -> Result<Vec<Reproduced>>;

    /// [`forward`](Self::forward) in a graph, of `[channels, height, width]`.
    fn graph(&self, graph: &mut Graph, input: Value) -> ReproducedGraph;

    /// Orders the errors, the family's own measurements and the distances to the training normals as the descriptors: numbers,
    /// or values of a graph.
    fn measurements<T: Copy>(errors: &Errors<T>, own: &[T], distances: [T; 2]) -> Vec<T>;

    /// See [`Member::decoder`].
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// See [`Member::prior`].
    fn prior(&self) -> Option<&dyn Prior> {
        None
    }
}

/// The family of a network.
pub(super) struct ReproducingFamily<M>(PhantomData<fn() -> M>);

impl<M> ReproducingFamily<M> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Reproduce> Family for ReproducingFamily<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn about(&self) -> &'static str {
        M::ABOUT
    }

    fn presets(&self) -> &'static [Preset] {
        M::PRESETS
    }

    fn default_preset(&self) -> &'static str {
        M::DEFAULT_PRESET
    }

    fn schema(&self) -> serde_json::Value {
        schema_of::<M::Settings>()
    }

    fn resolve(&self, settings: &Settings, shape: Shape, auto: Option<Precision>) -> Result<Settings> {
        let mut settings = checked::<M>(settings, shape)?;
        if let Some(auto) = auto {
            let precision = M::precision_of(&mut settings);
            *precision = precision.resolved(auto);
        }
        Ok(to_settings(&settings))
    }

    fn fit(
        &self,
        settings: &Settings,
        context: &mut FitContext<'_>,
        inputs: &Inputs<'_>,
        held_out: &Inputs<'_>,
    ) -> Result<Fitted> {
        let settings = checked::<M>(settings, inputs.shape())?;
        let device = context.device.clone().autodiff();
        let mut network = M::init(&settings, inputs.shape(), Some(context.seed), &device);
        if M::perceptual_weight(&settings) > 0.0 {
            network = network.with_perceptual(Perceptual::of(&context.backbone, &context.device)?);
        }
        let finish = |network| Ok(Arc::new(ReproducingMember::<M>::fit(network, inputs)?) as SharedMember);
        Fitted::by_training(network, context, inputs, held_out, &finish)
    }

    fn adopt(
        &self,
        settings: &Settings,
        weights: Tensors,
        platform: &Platform,
        normals: &Inputs<'_>,
    ) -> Result<Fitted> {
        let settings = checked::<M>(settings, normals.shape())?;
        let network = load_weights(M::init(&settings, normals.shape(), None, &platform.device), weights)?;
        Ok(Fitted::at_once(ReproducingMember::<M>::fit(network, normals)?))
    }

    fn load(
        &self,
        settings: &Settings,
        shape: Shape,
        mut tensors: Tensors,
        platform: &Platform,
    ) -> Result<SharedMember> {
        let settings = checked::<M>(settings, shape)?;
        let kept = tensors
            .remove(REFERENCE)
            .ok_or_else(|| Error::detector(format!("the tensor {REFERENCE} is missing")))?;
        let network = load_weights(M::init(&settings, shape, None, &platform.device), tensors)?;
        let reference = Reference::new(kept.into_rows(REFERENCE)?)
            .map_err(|error| Error::detector(format!("{REFERENCE}: {error}")))?;
        if reference.dimensions() != network.dimensions() {
            return Err(Error::detector(format!(
                "{REFERENCE}: expected rows of length {}, found {}",
                network.dimensions(),
                reference.dimensions()
            )));
        }
        Ok(Arc::new(ReproducingMember { network, reference }))
    }
}

fn checked<M: Reproduce>(settings: &Settings, shape: Shape) -> Result<M::Settings> {
    let settings = parse(settings)?;
    M::check(&settings, shape)?;
    Ok(settings)
}

/// A fitted network, and the training normals in its embedding space.
#[derive(Debug)]
struct ReproducingMember<M> {
    network: M,
    reference: Reference,
}

impl<M: Reproduce> ReproducingMember<M> {
    fn fit(network: M, train: &Inputs<'_>) -> Result<Self> {
        let network = network.trained(train)?;
        let reference = reference(&network, train)?;
        Ok(Self { network, reference })
    }
}

impl<M: Reproduce> Member for ReproducingMember<M> {
    fn descriptors(&self) -> &[Descriptor] {
        M::DESCRIPTORS
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        let shape = self.network.shape();
        let outputs = forward(&self.network, inputs)?;
        let infer = |(input, output): (&&[f32], Reproduced)| {
            let Reproduced { mean, log_variance, embedding, own } = output;
            let reconstruction = Reconstruction { mean: &mean, log_variance: log_variance.as_deref() };
            let errors = Errors::measure(input, shape, reconstruction)?;
            let distances = self.reference.measure(&embedding.mean)?;
            let map = want.map.then(|| error_map(input, shape, reconstruction)).transpose()?;
            let channel_maps =
                want.channel_maps.then(|| channel_error_maps(input, shape, reconstruction)).transpose()?;
            Ok(Inference {
                measurements: M::measurements(&errors, &own, distances),
                map,
                channel_maps,
                embedding: Some(embedding),
                reconstruction: want.reconstruction.then_some(mean),
            })
        };
        inputs.par_iter().zip(outputs).map(infer).collect()
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let shape = self.network.shape();
        let ReproducedGraph { reconstruction, embedding, own } = self.network.graph(graph, input);
        let errors = Errors::graph(graph, input, shape, reconstruction)?;
        let distances = self.reference.measure_graph(graph, embedding);
        let (map, channel_maps) = error_maps_graph(graph, input, shape, reconstruction);
        Ok(GraphInference {
            measurements: M::measurements(&errors, &own, distances),
            map: Some(map),
            channel_maps: Some(channel_maps),
            reconstruction: Some(reconstruction.mean),
        })
    }

    fn gives(&self) -> Want {
        Want::ALL
    }

    fn tensors(&self) -> Tensors {
        let mut tensors = weights(&self.network);
        tensors.insert(REFERENCE.to_owned(), Weight::from_rows(self.reference.embeddings()));
        tensors
    }

    fn parameter_count(&self) -> usize {
        count_parameters(&self.network)
    }

    fn reference(&self) -> Option<&Reference> {
        Some(&self.reference)
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        self.network.decoder()
    }

    fn prior(&self) -> Option<&dyn Prior> {
        self.network.prior()
    }
}

/// The network's outputs for any number of inputs, `FORWARD_BATCH` at a time.
fn forward(network: &impl Reproduce, inputs: &[&[f32]]) -> Result<Vec<Reproduced>> {
    let mut outputs = Vec::with_capacity(inputs.len());
    for inputs in inputs.chunks(FORWARD_BATCH) {
        outputs.extend(network.forward(inputs)?);
    }
    Ok(outputs)
}

/// The reconstructions of inputs alone.
pub(super) fn reconstructions(network: &impl Reproduce, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>> {
    Ok(forward(network, inputs)?.into_iter().map(|output| output.mean).collect())
}

/// The training normals in the network's embedding space.
fn reference(network: &impl Reproduce, train: &Inputs<'_>) -> Result<Reference> {
    /// Images held in memory at once.
    const CHUNK: usize = 64;
    let mut embeddings = Vec::with_capacity(train.len());
    train.chunks(CHUNK, |inputs| {
        embeddings.extend(forward(network, inputs)?.into_iter().map(|output| output.embedding.mean));
        Ok(())
    })?;
    Reference::new(embeddings)
}

/// The images at `points` of an embedding space, `FORWARD_BATCH` at a time: `decode` turns `[points, dimensions]` into
/// `[points, height, width, channels]`.
///
/// # Errors
/// A point of another length, or one that is not finite.
pub(super) fn decode_points(
    points: &[Vec<f32>],
    dimensions: usize,
    device: &Device,
    decode: impl Fn(Tensor<2>) -> Tensor<4>,
) -> Result<Vec<Vec<f32>>> {
    let mut images = Vec::with_capacity(points.len());
    for points in points.chunks(FORWARD_BATCH) {
        for point in points {
            if point.len() != dimensions {
                return Err(Error::data(format!(
                    "expected a latent of {dimensions} numbers, found one of {}",
                    point.len()
                )));
            }
            if point.iter().any(|value| !value.is_finite()) {
                return Err(Error::data("expected a finite latent, found NaN or infinity"));
            }
        }
        let data = TensorData::new(points.concat(), [points.len(), dimensions]);
        images.extend(rows(decode(Tensor::from_data(data, device)), points.len()));
    }
    Ok(images)
}

/// KL(N(mean, exp(log_variance)) || N(0, I)) of each image in a graph, nats: both are `[dimensions]`.
pub(super) fn kl_graph(graph: &mut Graph, mean: Value, log_variance: Value) -> Value {
    let (squares, excess) = (graph.square(mean), exponential_excess(graph, log_variance));
    let twice = graph.add(squares, excess);
    let sum = graph.sum(twice, &[0]);
    graph.times(sum, 0.5)
}

/// e^s - 1 - s in a graph, also where s is so near 0 that the difference would be lost in `f32`: by its series there.
fn exponential_excess(graph: &mut Graph, s: Value) -> Value {
    const NEAR: f64 = 0.5;
    /// Terms beyond s^2 / 2: the next is below a unit in the last place.
    const TERMS: usize = 7;
    let exponential = graph.exp(s);
    let minus_one = graph.plus(exponential, -1.0);
    let far = graph.subtract(minus_one, s);
    // s^2 (1/2! + s (1/3! + s (1/4! + ...)))
    let factorial = |of: usize| (1..=of).map(|factor| factor as f64).product::<f64>();
    let mut sum = graph.number(1.0 / factorial(2 + TERMS));
    for power in (2..2 + TERMS).rev() {
        let product = graph.multiply(sum, s);
        sum = graph.plus(product, 1.0 / factorial(power));
    }
    let square = graph.square(s);
    let near = graph.multiply(square, sum);
    let (size, bound) = (graph.abs(s), graph.number(NEAR));
    let is_near = graph.greater(bound, size);
    graph.select(is_near, near, far)
}

/// Name of the tensor that holds the training normals' embeddings in a member's tensors.
const REFERENCE: &str = "reference";
