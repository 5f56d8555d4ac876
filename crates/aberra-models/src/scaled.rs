//! A member that works on inputs of its own size inside a detector whose network input is larger.

use std::sync::Arc;

use aberra_metrics::{Error, Result};

use crate::backbone::Backbone;
use crate::graph::{Graph, GraphInference, Value};
use crate::measure::reference::Reference;
use crate::measure::{Descriptor, Inference, Want};
use crate::member::{Decoder, Member, Prior, SharedMember};
use crate::resample::{area_mean, area_mean_graph, bilinear, bilinear_graph};
use crate::shape::Shape;
use crate::tensors::Tensors;

/// `member`, whose inputs have the shape `own`, as a member for inputs of the shape `outer`: each input is reduced by the mean
/// over areas, and maps, reconstructions and decoded images are enlarged linearly. The same member where the shapes are the
/// same.
pub fn scaled(member: SharedMember, own: Shape, outer: Shape) -> SharedMember {
    if own == outer { member } else { Arc::new(Scaled { member, own, outer }) }
}

#[derive(Debug)]
struct Scaled {
    member: SharedMember,
    own: Shape,
    outer: Shape,
}

impl Scaled {
    /// An image or map of the member's own size, enlarged.
    fn enlarge(&self, pixels: &[f32], channels: usize) -> Vec<f32> {
        bilinear(pixels, Shape { channels, ..self.own }, Shape { channels, ..self.outer })
    }
}

impl Member for Scaled {
    fn descriptors(&self) -> &[Descriptor] {
        self.member.descriptors()
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        inputs.iter().try_for_each(|input| self.outer.check(input))?;
        let small: Vec<Vec<f32>> =
            inputs.iter().map(|input| area_mean(input, self.outer, self.own)).collect();
        let slices: Vec<&[f32]> = small.iter().map(Vec::as_slice).collect();
        let mut inferences = self.member.infer(&slices, want)?;
        for inference in &mut inferences {
            inference.map = inference.map.take().map(|map| self.enlarge(&map, 1));
            let maps = inference.channel_maps.take();
            inference.channel_maps = maps.map(|maps| self.enlarge(&maps, self.own.channels));
            let reconstruction = inference.reconstruction.take();
            inference.reconstruction = reconstruction.map(|pixels| self.enlarge(&pixels, self.own.channels));
        }
        Ok(inferences)
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let small = area_mean_graph(graph, input, self.outer, self.own);
        let inference = self.member.graph(graph, small)?;
        let mut enlarge = |value: Value| bilinear_graph(graph, value, self.own, self.outer);
        let GraphInference { measurements, map, channel_maps, reconstruction } = inference;
        let [map, channel_maps, reconstruction] =
            [map, channel_maps, reconstruction].map(|value| value.map(&mut enlarge));
        Ok(GraphInference { measurements, map, channel_maps, reconstruction })
    }

    fn gives(&self) -> Want {
        self.member.gives()
    }

    fn tensors(&self) -> Tensors {
        self.member.tensors()
    }

    fn parameter_count(&self) -> usize {
        self.member.parameter_count()
    }

    fn reference(&self) -> Option<&Reference> {
        self.member.reference()
    }

    fn backbone(&self) -> Option<&Backbone> {
        self.member.backbone()
    }

    fn decoder(&self) -> Option<&dyn Decoder> {
        self.member.decoder().is_some().then_some(self)
    }

    fn prior(&self) -> Option<&dyn Prior> {
        self.member.prior()
    }
}

impl Decoder for Scaled {
    fn dimensions(&self) -> usize {
        self.member.decoder().map_or(0, Decoder::dimensions)
    }

    fn decode(&self, points: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let decoder = self.member.decoder().ok_or_else(|| Error::settings("the member has no decoder"))?;
        let images = decoder.decode(points)?;
        Ok(images.iter().map(|image| self.enlarge(image, self.own.channels)).collect())
    }
}
