//! The members of a detector, and the one place where images are measured: network inputs in, joined evidence, map,
//! embeddings and reconstructions out.

use aberra_metrics::{Error, Result};
use aberra_models::measure::{Descriptor, Inference, Want, context};
use aberra_models::{Backbone, FeatureCache, Inputs, Shape, SharedMember};
use rayon::prelude::*;

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
    shape: Shape,
    /// What each member's map is multiplied by before all are added; `None` for a single member, whose map stays in its own
    /// units.
    map_weights: Option<Vec<f64>>,
}

/// The measurements on one image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) evidence: Evidence,
    /// Where the image is unusual, `[height, width]`, filtered as it is thresholded; present if requested.
    pub(crate) map: Option<Vec<f32>>,
    /// Of each member, in order: embeddings and reconstructions. Measurements and maps have moved out of them.
    pub(crate) inferences: Vec<Inference>,
}

/// Images measured at once, so that lists larger than memory can be measured.
const CHUNK: usize = 64;

impl Members {
    pub(crate) fn new(members: Vec<NamedMember>, shape: Shape, map_weights: Option<Vec<f64>>) -> Self {
        let of_member = |named: &NamedMember| {
            let name = named.name.clone();
            let own = named.member.descriptors().to_vec();
            own.into_iter().map(move |descriptor| descriptor.of_member(&name))
        };
        let of_image = context::DESCRIPTORS.iter().map(|descriptor| descriptor.of_member(context::CONTEXT));
        let descriptors = members.iter().flat_map(of_member).chain(of_image).collect();
        Self { members, descriptors, shape, map_weights }
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

    pub(crate) fn shape(&self) -> Shape {
        self.shape
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
        normals.chunks(CHUNK, |inputs| {
            for inferences in self.infer(inputs, Want::MAP)? {
                for (sum, inference) in sums.iter_mut().zip(inferences) {
                    let map = inference.map.unwrap_or_default();
                    *sum += f64::from(map.iter().copied().fold(0.0, f32::max));
                }
            }
            Ok(())
        })?;
        let with_maps = self.members.iter().filter(|named| named.member.gives().map).count().max(1) as f64;
        let scale = |sum: f64| if sum > 0.0 { sum / normals.len() as f64 } else { 1.0 };
        let map_weights = Some(sums.into_iter().map(|sum| 1.0 / (scale(sum) * with_maps)).collect());
        Ok(Self { map_weights, ..self })
    }

    /// The members' outputs for each of `inputs`, in the order of the members.
    ///
    /// # Errors
    /// An input that one of them cannot measure.
    pub(crate) fn infer(&self, inputs: &[&[f32]], want: Want) -> Result<Vec<Vec<Inference>>> {
        let cache = FeatureCache::default();
        let mut of_images: Vec<Vec<Inference>> = vec![Vec::with_capacity(self.members.len()); inputs.len()];
        for named in &self.members {
            let inferences = named.member.infer_with(inputs, &cache, want)?;
            if inferences.len() != inputs.len() {
                return Err(Error::input("a member gave no answer for an image"));
            }
            of_images.iter_mut().zip(inferences).for_each(|(all, inference)| all.push(inference));
        }
        Ok(of_images)
    }

    /// Measures network inputs, one result each, in order: an image that cannot be measured does not stop the others.
    pub(crate) fn measure(&self, inputs: &[&[f32]], want: Want) -> Vec<Result<Measured>> {
        let joined = match self.infer(inputs, want) {
            Ok(joined) => joined,
            Err(error) if inputs.len() == 1 => return vec![Err(error)],
            // One bad image fails the batch: measured one by one, the others succeed.
            Err(_) => return inputs.iter().flat_map(|input| self.measure(&[*input], want)).collect(),
        };
        inputs.par_iter().zip(joined).map(|(input, inferences)| self.join(input, inferences)).collect()
    }

    /// Measures every one of `inputs`, in order.
    ///
    /// # Errors
    /// The first image that cannot be measured.
    pub(crate) fn measure_all(&self, inputs: &Inputs<'_>, want: Want) -> Result<Vec<Measured>> {
        let mut measured = Vec::with_capacity(inputs.len());
        inputs.chunks(CHUNK, |chunk| {
            for one in self.measure(chunk, want) {
                measured.push(one?);
            }
            Ok(())
        })?;
        Ok(measured)
    }

    /// The members' outputs for an image, joined with what is measured on the image itself.
    ///
    /// # Errors
    /// An image that cannot be measured.
    fn join(&self, input: &[f32], mut inferences: Vec<Inference>) -> Result<Measured> {
        let own = inferences.iter_mut().flat_map(|inference| std::mem::take(&mut inference.measurements));
        let evidence = own.chain(context::measure(input, self.shape)?).collect();
        let maps: Vec<Option<Vec<f32>>> =
            inferences.iter_mut().map(|inference| inference.map.take()).collect();
        Ok(Measured { evidence: Evidence(evidence), map: self.combine(maps), inferences })
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
}
