//! A member, one fitted family: its interface and optional capabilities.

use std::fmt::Debug;
use std::sync::Arc;

use aberra_metrics::{Error, Result};
use rand::Rng;

use crate::backbone::Backbone;
use crate::features::FeatureCache;
use crate::graph::{Graph, GraphInference, Value};
use crate::measure::reference::Reference;
use crate::measure::{Descriptor, Inference, Want};
use crate::tensors::Tensors;

/// A member that is shared between those who use it.
pub type SharedMember = Arc<dyn Member>;

/// One fitted family.
pub trait Member: Debug + Send + Sync {
    /// Its measurements, in the order in which [`infer`](Self::infer) returns their values.
    fn descriptors(&self) -> &[Descriptor];

    /// Runs inference on `inputs`, each `[height, width, channels]` flattened, and returns an output for each, in
    /// order. Deterministic: nothing is sampled.
    ///
    /// # Errors
    /// An input that does not fit, or values that are not finite.
    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>>;

    /// As [`infer`](Self::infer), for a member among others that have the same inputs: what it computes from frozen features it
    /// takes from `cache`, which is of this batch of inputs alone.
    ///
    /// # Errors
    /// As [`infer`](Self::infer).
    fn infer_with(&self, inputs: &[&[f32]], cache: &FeatureCache, want: Want) -> Result<Vec<Inference>> {
        let _ = cache;
        self.infer(inputs, want)
    }

    /// Writes its inference on `input`, `[channels, height, width]` of each image, into a graph. What several members work on is
    /// written once.
    ///
    /// # Errors
    /// It cannot be written as a graph, which is what a member does that does not say otherwise.
    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let _ = (graph, input);
        Err(Error::settings("this kind of member cannot be written as a graph of operators")
            .with_hint("a family of one's own says how in Member::graph"))
    }

    /// The optional parts of an [`Inference`] that it can compute on request: by default all but maps of single channels.
    fn gives(&self) -> Want {
        Want { channel_maps: false, ..Want::ALL }
    }

    /// Its fitted tensors, by name.
    fn tensors(&self) -> Tensors;

    /// Number of weights that fitting changed.
    fn parameter_count(&self) -> usize;

    /// The training normals in its embedding space, if it has one.
    fn reference(&self) -> Option<&Reference> {
        None
    }

    /// Its decoder of points of the embedding space, if it has one.
    fn decoder(&self) -> Option<&dyn Decoder> {
        None
    }

    /// The backbone whose features it works on, if it does.
    fn backbone(&self) -> Option<&Backbone> {
        None
    }

    /// The prior over its embedding space, if it has one.
    fn prior(&self) -> Option<&dyn Prior> {
        None
    }
}

/// Turns points of an embedding space into images.
pub trait Decoder {
    /// Dimensions of a point.
    fn dimensions(&self) -> usize;

    /// The images at `points`, each `[dimensions]`: `[height, width, channels]`, 0 to 1.
    ///
    /// # Errors
    /// A point of another length, or one that is not finite.
    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<Vec<f32>>>;
}

/// A distribution over an embedding space from which points are drawn.
pub trait Prior {
    /// `count` points, each `[dimensions]`.
    fn draw(&self, random: &mut dyn Rng, count: usize) -> Vec<Vec<f32>>;
}
