//! The members of a detector, and the one place where images are measured: preprocessed images in, joined evidence, map,
//! embeddings and reconstructions out.
//!
//! A member measures network inputs. Where an image has several, its tiles, the measurements of all are joined to those of
//! one image: the largest of each where larger is more unusual, the mean of what describes the image. Maps and
//! reconstructions are put together; the embedding is that of the member's most unusual tile.

use std::borrow::Cow;

use aberra_metrics::{Error, Result};
use aberra_models::graph::{Graph, GraphInference, Value};
use aberra_models::measure::{
    Descriptor, Direction, Inference, Want, context, mean_of_largest, mean_of_largest_graph,
};
use aberra_models::{Backbone, FeatureCache, Inputs, SharedMember, channel_of};
use rayon::prelude::*;

use crate::canvas::Canvas;
use crate::score::Evidence;

/// A member with its name within the detector.
#[derive(Clone, Debug)]
pub struct NamedMember {
    /// Its name within the detector, the prefix of its measurements' names.
    pub name: String,
    /// The name of its family.
    pub family: String,
    /// The member.
    pub member: SharedMember,
}

/// The members of a detector, and how their maps are combined.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    members: Vec<NamedMember>,
    descriptors: Vec<Descriptor>,
    canvas: Canvas,
    /// What each member's map is multiplied by before all are added; `None` for a single member, whose map stays in its own
    /// units.
    map_weights: Option<Vec<f64>>,
}

/// The measurements on one image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) evidence: Evidence,
    /// The evidence on each tile; empty where the image is one network input.
    pub(crate) tiles: Vec<Evidence>,
    /// Where the image is unusual, `[height, width]`, filtered as it is thresholded; present if requested.
    pub(crate) map: Option<Vec<f32>>,
    /// The same of each channel that is no colour, `[height, width, channels]`; where there are such.
    pub(crate) channel_maps: Option<Vec<f32>>,
    /// Of each member, in order: embeddings and reconstructions. Measurements and maps have moved out of them.
    pub(crate) inferences: Vec<Inference>,
}

/// Share of a channel's map that its measurement is the mean of: the highest.
const PEAK_SHARE: f64 = 0.01;

/// The prefix of the channels' measurements, in place of a member's name.
const CHANNEL: &str = "channel";

/// Names of the channels of which each has a map: those that are no colours, where a member gives such maps.
fn channels_measured<'a>(members: &[NamedMember], canvas: &'a Canvas) -> &'a [String] {
    let are_given = members.iter().any(|named| named.member.gives().channel_maps);
    if are_given { canvas.channels() } else { &[] }
}

/// The measurement of a channel.
fn channel_peak(name: &str) -> Descriptor {
    const ABOUT: &str = "how unusual the channel is where it is most: its map's mean over the highest 1 %";
    let mut descriptor = Descriptor::unusual("", "", ABOUT);
    descriptor.name = name.to_owned().into();
    descriptor.of_member(CHANNEL)
}

/// Network inputs measured at once, so that lists larger than memory can be measured.
const CHUNK: usize = 64;

impl Members {
    pub(crate) fn new(members: Vec<NamedMember>, canvas: Canvas, map_weights: Option<Vec<f64>>) -> Self {
        let of_member = |named: &NamedMember| {
            let name = named.name.clone();
            let own = named.member.descriptors().to_vec();
            own.into_iter().map(move |descriptor| descriptor.of_member(&name))
        };
        let of_image = context::DESCRIPTORS.iter().map(|descriptor| descriptor.of_member(context::CONTEXT));
        let of_channels = channels_measured(&members, &canvas).iter().map(|name| channel_peak(name));
        let descriptors = members.iter().flat_map(of_member).chain(of_channels).chain(of_image).collect();
        Self { members, descriptors, canvas, map_weights }
    }

    pub(crate) fn all(&self) -> &[NamedMember] {
        &self.members
    }

    /// The backbone whose features some of them work on, if any do.
    pub(crate) fn backbone(&self) -> Option<&Backbone> {
        self.members.iter().find_map(|named| named.member.backbone())
    }

    /// The descriptors of the joined evidence, in order.
    pub(crate) fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }

    /// What images are measured on.
    pub(crate) fn canvas(&self) -> &Canvas {
        &self.canvas
    }

    pub(crate) fn map_weights(&self) -> Option<&[f64]> {
        self.map_weights.as_deref()
    }

    /// The same with the weights of several members' maps learnt from normals: one over the mean of each map's largest value,
    /// shared out, so that none outshines the others on a normal.
    ///
    /// # Errors
    /// As [`measure_all`](Self::measure_all).
    pub(crate) fn with_weighed_maps(self, normals: &Inputs<'_>) -> Result<Self> {
        if self.members.len() < 2 {
            return Ok(self);
        }
        let mut sums = vec![0.0; self.members.len()];
        normals.chunks(self.canvas.images(CHUNK), |images| {
            for tiles in self.infer(images, Want::MAP)? {
                let mut largest = vec![0.0_f32; self.members.len()];
                for inferences in tiles {
                    for (largest, inference) in largest.iter_mut().zip(inferences) {
                        let map = inference.map.unwrap_or_default();
                        *largest = map.iter().copied().fold(*largest, f32::max);
                    }
                }
                sums.iter_mut().zip(largest).for_each(|(sum, largest)| *sum += f64::from(largest));
            }
            Ok(())
        })?;
        let with_maps = self.members.iter().filter(|named| named.member.gives().map).count().max(1) as f64;
        let scale = |sum: f64| if sum > 0.0 { sum / normals.len() as f64 } else { 1.0 };
        let map_weights = Some(sums.into_iter().map(|sum| 1.0 / (scale(sum) * with_maps)).collect());
        Ok(Self { map_weights, ..self })
    }

    /// For each of `images` and each of its network inputs the members' outputs, in the order of the members.
    ///
    /// # Errors
    /// An image that one of them cannot measure.
    fn infer(&self, images: &[&[f32]], want: Want) -> Result<Vec<Vec<Vec<Inference>>>> {
        let shape = self.canvas.shape();
        images.iter().try_for_each(|image| shape.check(image))?;
        let tiles = self.canvas.tiles();
        let inputs: Vec<Cow<'_, [f32]>> = (0..images.len() * tiles)
            .into_par_iter()
            .map(|input| self.canvas.cut(images[input / tiles], input % tiles))
            .collect();
        let inputs: Vec<&[f32]> = inputs.iter().map(AsRef::as_ref).collect();
        let mut inferred = self.infer_inputs(&inputs, want)?.into_iter();
        Ok(images.iter().map(|_| inferred.by_ref().take(tiles).collect()).collect())
    }

    /// Names of the channels of which each has a map and a measurement: those that are no colours.
    pub(crate) fn channels(&self) -> &[String] {
        channels_measured(&self.members, &self.canvas)
    }

    /// Where in the evidence the measurements of the channels begin: before those of the image itself.
    pub(crate) fn channels_at(&self) -> usize {
        self.descriptors.len() - context::DESCRIPTORS.len() - self.channels().len()
    }

    /// The members' outputs for each of `inputs`, in the order of the members.
    fn infer_inputs(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Vec<Inference>>> {
        let want = Want { channel_maps: !self.channels().is_empty(), ..want };
        let cache = FeatureCache::default();
        let mut of_inputs: Vec<Vec<Inference>> = vec![Vec::with_capacity(self.members.len()); inputs.len()];
        for named in &self.members {
            let inferences = named.member.infer_with(inputs, &cache, want)?;
            if inferences.len() != inputs.len() {
                return Err(Error::input("a member gave no answer for an image"));
            }
            of_inputs.iter_mut().zip(inferences).for_each(|(all, inference)| all.push(inference));
        }
        Ok(of_inputs)
    }

    /// Measures preprocessed images, one result each, in order: an image that cannot be measured does not stop the others.
    pub(crate) fn measure(&self, images: &[&[f32]], want: Want) -> Vec<Result<Measured>> {
        // Images of one network input have been counted by the caller.
        let at_once = if self.canvas.tiles() > 1 { self.canvas.images(CHUNK) } else { images.len().max(1) };
        images.chunks(at_once).flat_map(|images| self.measure_chunk(images, want)).collect()
    }

    fn measure_chunk(&self, images: &[&[f32]], want: Want) -> Vec<Result<Measured>> {
        let inferred = match self.infer(images, want) {
            Ok(inferred) => inferred,
            Err(error) if images.len() == 1 => return vec![Err(error)],
            // One bad image fails the batch: measured one by one, the others succeed.
            Err(_) => return images.iter().flat_map(|image| self.measure_chunk(&[*image], want)).collect(),
        };
        images.par_iter().zip(inferred).map(|(image, tiles)| self.join_tiles(image, tiles)).collect()
    }

    /// Measures every one of `images`, in order.
    ///
    /// # Errors
    /// The first image that cannot be measured.
    pub(crate) fn measure_all(&self, images: &Inputs<'_>, want: Want) -> Result<Vec<Measured>> {
        let mut measured = Vec::with_capacity(images.len());
        images.chunks(self.canvas.images(CHUNK), |chunk| {
            for one in self.measure(chunk, want) {
                measured.push(one?);
            }
            Ok(())
        })?;
        Ok(measured)
    }

    /// The evidence on network inputs, each an image or a tile.
    ///
    /// # Errors
    /// One that cannot be measured.
    pub(crate) fn measure_inputs(&self, inputs: &[&[f32]]) -> Result<Vec<Evidence>> {
        let inferred = self.infer_inputs(inputs, Want::MEASUREMENTS)?;
        let evidence = inputs
            .par_iter()
            .zip(inferred)
            .map(|(input, inferences)| Ok(self.join(input, inferences)?.evidence));
        evidence.collect()
    }

    /// The evidence on an image from that on each of its network inputs.
    pub(crate) fn pool(&self, tiles: &[Evidence]) -> Evidence {
        let pooled = self.descriptors.iter().enumerate().map(|(at, descriptor)| {
            let values = tiles.iter().map(|tile| tile.0[at]);
            match descriptor.direction {
                // A value that is not finite is not lost.
                Direction::HigherIsUnusual => values.reduce(|a, b| if a.is_nan() || a > b { a } else { b }),
                Direction::Context => Some(values.sum::<f64>() / tiles.len() as f64),
            }
        });
        Evidence(pooled.map(|value| value.unwrap_or(f64::NAN)).collect())
    }

    /// The members' outputs for the network inputs of an image, as one.
    ///
    /// # Errors
    /// An image that cannot be measured.
    fn join_tiles(&self, image: &[f32], tiles: Vec<Vec<Inference>>) -> Result<Measured> {
        let mut joined = Vec::with_capacity(tiles.len());
        for (tile, inferences) in tiles.into_iter().enumerate() {
            joined.push(self.join(&self.canvas.cut(image, tile), inferences)?);
        }
        if joined.len() == 1
            && let Some(single) = joined.pop()
        {
            return Ok(single);
        }
        let maps: Option<Vec<_>> = joined.iter_mut().map(|tile| tile.map.take()).collect();
        let channel_maps: Option<Vec<_>> = joined.iter_mut().map(|tile| tile.channel_maps.take()).collect();
        let channels = self.canvas.input().channels;
        let mut first = 0;
        let inferences = self.members.iter().enumerate().map(|(member, named)| {
            let own = named.member.descriptors();
            let telling = own.iter().position(|one| one.direction == Direction::HigherIsUnusual).unwrap_or(0);
            let value = |tile: &Measured| tile.evidence.0.get(first + telling).copied().unwrap_or(f64::NAN);
            let mut unusual = 0;
            for (at, tile) in joined.iter().enumerate() {
                if value(tile) > value(&joined[unusual]) {
                    unusual = at;
                }
            }
            first += own.len();
            let embedding = joined[unusual].inferences[member].embedding.take();
            let parts = joined.iter_mut().map(|tile| tile.inferences[member].reconstruction.take());
            let reconstruction =
                parts.collect::<Option<Vec<_>>>().map(|parts| self.canvas.stitch(parts, channels));
            Inference { embedding, reconstruction, ..Inference::default() }
        });
        let inferences = inferences.collect();
        let tiles: Vec<Evidence> = joined.into_iter().map(|tile| tile.evidence).collect();
        Ok(Measured {
            evidence: self.pool(&tiles),
            tiles,
            map: maps.map(|maps| self.canvas.stitch(maps, 1)),
            channel_maps: channel_maps.map(|maps| self.canvas.stitch(maps, channels)),
            inferences,
        })
    }

    /// The members' outputs for a network input, joined with what is measured on the input itself.
    ///
    /// # Errors
    /// An input that cannot be measured.
    fn join(&self, input: &[f32], mut inferences: Vec<Inference>) -> Result<Measured> {
        let own = inferences.iter_mut().flat_map(|inference| std::mem::take(&mut inference.measurements));
        let mut evidence: Vec<f64> = own.collect();
        let maps = inferences.iter_mut().map(|inference| inference.channel_maps.take()).collect();
        let channel_maps = self.combine(maps).filter(|_| !self.channels().is_empty());
        if let Some(maps) = &channel_maps {
            let peak =
                |channel| mean_of_largest(&channel_of(maps, channel, self.channels().len()), PEAK_SHARE);
            evidence.extend((0..self.channels().len()).map(peak));
        }
        evidence.extend(context::measure(input, self.canvas.input())?);
        let maps = inferences.iter_mut().map(|inference| inference.map.take()).collect();
        let map = self.combine(maps);
        Ok(Measured { evidence: Evidence(evidence), tiles: Vec::new(), map, channel_maps, inferences })
    }

    /// One map of several: the sum over the members that have one, each times its weight.
    fn combine(&self, maps: Vec<Option<Vec<f32>>>) -> Option<Vec<f32>> {
        let Some(weights) = &self.map_weights else { return maps.into_iter().flatten().next() };
        let mut sum: Option<Vec<f32>> = None;
        for (map, weight) in maps.into_iter().zip(weights) {
            let Some(map) = map else { continue };
            let sum = sum.get_or_insert_with(|| vec![0.0; map.len()]);
            sum.iter_mut().zip(map).for_each(|(sum, value)| *sum += value * *weight as f32);
        }
        sum
    }

    /// The evidence, map and first reconstruction on `input`, `[channels, height, width]`, in a graph.
    ///
    /// # Errors
    /// A member that cannot be written as a graph, or a canvas of several network inputs.
    pub(crate) fn graph(&self, graph: &mut Graph, input: Value) -> Result<GraphInference> {
        if self.canvas.tiles() > 1 {
            return Err(Error::settings(format!(
                "expected a detector whose images are one network input, found one of {} tiles",
                self.canvas.tiles()
            ))
            .with_hint("export a detector trained with preprocessing.tiles = \"none\""));
        }
        let mut joined = GraphInference::default();
        let (mut maps, mut channel_maps) = (Vec::new(), Vec::new());
        for named in &self.members {
            let own = named.member.graph(graph, input)?;
            joined.measurements.extend(own.measurements);
            joined.reconstruction = joined.reconstruction.or(own.reconstruction);
            maps.push(own.map);
            channel_maps.push(own.channel_maps);
        }
        joined.map = self.combine_graph(graph, maps);
        if !self.channels().is_empty() {
            joined.channel_maps = self.combine_graph(graph, channel_maps);
        }
        if let Some(maps) = joined.channel_maps {
            joined.measurements.extend((0..self.channels().len()).map(|channel| {
                let plane = graph.slice(maps, 0, channel, channel + 1);
                let plane = graph.flatten(plane);
                mean_of_largest_graph(graph, plane, PEAK_SHARE)
            }));
        }
        joined.measurements.extend(context::measure_graph(graph, input, self.canvas.input()));
        Ok(joined)
    }

    /// [`combine`](Self::combine) in a graph.
    fn combine_graph(&self, graph: &mut Graph, maps: Vec<Option<Value>>) -> Option<Value> {
        let Some(weights) = &self.map_weights else { return maps.into_iter().flatten().next() };
        let weighed = maps.into_iter().zip(weights);
        let parts: Vec<Value> =
            weighed.filter_map(|(map, weight)| Some(graph.times(map?, *weight))).collect();
        parts.into_iter().reduce(|sum, map| graph.add(sum, map))
    }
}
