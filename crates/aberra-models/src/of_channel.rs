//! A member that sees one channel of inputs of several: how families that know grey and colours alone take part in a detector of
//! other channels.

use std::sync::Arc;

use aberra_metrics::Result;

use crate::backbone::Backbone;
use crate::features::FeatureCache;
use crate::graph::{Graph, GraphInference, Value};
use crate::measure::reference::Reference;
use crate::measure::{Descriptor, Inference, Want};
use crate::member::{Member, SharedMember};
use crate::shape::{Shape, channel_of, set_channel};
use crate::tensors::Tensors;

/// `member`, whose inputs have one channel, as a member for inputs of the shape `outer`, of which it sees `channel`. Its map is that
/// of its channel; what it reconstructs or decodes is no image of all channels, and is left out.
pub fn of_channel(member: SharedMember, channel: usize, outer: Shape) -> SharedMember {
    Arc::new(OfChannel { member, channel, outer })
}

#[derive(Debug)]
struct OfChannel {
    member: SharedMember,
    channel: usize,
    outer: Shape,
}

impl OfChannel {
    fn inferred(
        &self,
        inputs: &[&[f32]],
        want: Want,
        infer: impl FnOnce(&[&[f32]], Want) -> Result<Vec<Inference>>,
    ) -> Result<Vec<Inference>> {
        inputs.iter().try_for_each(|input| self.outer.check(input))?;
        let channels = self.outer.channels;
        let planes: Vec<Vec<f32>> =
            inputs.iter().map(|input| channel_of(input, self.channel, channels)).collect();
        let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
        let inner = Want { map: want.map || want.channel_maps, ..Want::MEASUREMENTS };
        let mut inferences = infer(&planes, inner)?;
        for inference in &mut inferences {
            inference.reconstruction = None;
            if let Some(map) = inference.map.as_ref().filter(|_| want.channel_maps) {
                let mut maps = vec![0.0; self.outer.len()];
                set_channel(&mut maps, self.channel, channels, map);
                inference.channel_maps = Some(maps);
            }
            inference.map = inference.map.take().filter(|_| want.map);
        }
        Ok(inferences)
    }
}

impl Member for OfChannel {
    fn descriptors(&self) -> &[Descriptor] {
        self.member.descriptors()
    }

    fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Inference>> {
        self.inferred(inputs, want, |planes, want| self.member.infer(planes, want))
    }

    fn infer_with(&self, inputs: &[&[f32]], cache: &FeatureCache, want: Want) -> Result<Vec<Inference>> {
        let cache = cache.of_channel(self.channel);
        self.inferred(inputs, want, |planes, want| self.member.infer_with(planes, &cache, want))
    }

    fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        let (channel, channels) = (self.channel, self.outer.channels);
        // One value for all members that see the channel, by which they share its features.
        let plane = graph.once(&format!("channel {channel} of {}", input.number()), |graph| {
            Ok(vec![graph.slice(input, 0, channel, channel + 1)])
        })?[0];
        let GraphInference { measurements, map, .. } = self.member.graph(graph, plane)?;
        let channel_maps = map.map(|map| {
            let own = graph.reshape(map, &[1, self.outer.height, self.outer.width]);
            let none = graph.times(own, 0.0);
            let planes: Vec<Value> = (0..channels).map(|at| if at == channel { own } else { none }).collect();
            graph.concat(&planes, 0)
        });
        Ok(GraphInference { measurements, map, channel_maps, reconstruction: None })
    }

    fn gives(&self) -> Want {
        let Want { map, .. } = self.member.gives();
        Want { map, channel_maps: map, ..Want::MEASUREMENTS }
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
}
