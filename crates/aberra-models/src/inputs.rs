//! The network inputs of a list of images: as many as fit are kept in memory, the rest are read again when needed.

use std::borrow::Cow;

use aberra_metrics::Result;
use rayon::prelude::*;

use crate::resample::area_mean;
use crate::shape::{Shape, channel_of};

/// Reads the network input of an image by its number.
type Read<'a> = dyn Fn(usize) -> Result<Vec<f32>> + Send + Sync + 'a;

/// An input's hash, and its pixels where they are kept.
type FirstSeen = (blake3::Hash, Option<Vec<f32>>);

/// The network inputs of a list of images, each `[height, width, channels]` flattened.
pub struct Inputs<'a> {
    read: Box<Read<'a>>,
    shape: Shape,
    kept: Vec<Option<Vec<f32>>>,
    digest: blake3::Hash,
    /// Of each input, which of them belong together; empty if none do.
    groups: Vec<usize>,
}

impl<'a> Inputs<'a> {
    /// Reads every one of `count` inputs once and keeps what fits in `cache_bytes`. `read` is called again for the
    /// others, from several threads.
    ///
    /// # Errors
    /// As `read`; an input that does not fit the shape.
    pub fn new(
        count: usize,
        shape: Shape,
        cache_bytes: usize,
        read: impl Fn(usize) -> Result<Vec<f32>> + Send + Sync + 'a,
    ) -> Result<Self> {
        let first = |image| Ok(vec![read(image)?]);
        let all: Vec<_> = (0..count)
            .into_par_iter()
            .map(|image| Self::first_pass(image, shape, cache_bytes, first(image)?))
            .collect::<Result<_>>()?;
        Ok(Self::collected(all, shape, Box::new(read)))
    }

    /// `parts` inputs of each of these images, one image's after the other's: `cut` gives a part of an image by the numbers of
    /// both. As many are kept as fit in `cache_bytes`.
    ///
    /// # Errors
    /// As [`get`](Self::get); an input that does not fit the shape.
    pub fn parts<'b>(
        &'b self,
        parts: usize,
        shape: Shape,
        cache_bytes: usize,
        cut: impl Fn(&[f32], usize, usize) -> Vec<f32> + Send + Sync + 'b,
    ) -> Result<Inputs<'b>> {
        let all: Vec<_> = (0..self.len())
            .into_par_iter()
            .map(|image| {
                let pixels = self.get(image)?;
                let own = (0..parts).map(|part| cut(&pixels, image, part)).collect();
                Inputs::first_pass(image * parts, shape, cache_bytes, own)
            })
            .collect::<Result<_>>()?;
        let read = move |index: usize| Ok(cut(&self.get(index / parts)?, index / parts, index % parts));
        let groups = (0..self.len() * parts).map(|index| self.group(index / parts)).collect();
        Ok(Inputs { groups, ..Inputs::collected(all, shape, Box::new(read)) })
    }

    /// Checks inputs, the first of which has the number `first`, and keeps those that fit.
    fn first_pass(
        first: usize,
        shape: Shape,
        cache_bytes: usize,
        inputs: Vec<Vec<f32>>,
    ) -> Result<Vec<FirstSeen>> {
        let fitting = cache_bytes / (shape.len() * size_of::<f32>());
        let see = |(index, pixels): (usize, Vec<f32>)| {
            shape.check(&pixels)?;
            let bytes: Vec<u8> = pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok((blake3::hash(&bytes), (index < fitting).then_some(pixels)))
        };
        (first..).zip(inputs).map(see).collect()
    }

    fn collected(all: Vec<Vec<FirstSeen>>, shape: Shape, read: Box<Read<'a>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut kept = Vec::with_capacity(all.len());
        for (hash, pixels) in all.into_iter().flatten() {
            hasher.update(hash.as_bytes());
            kept.push(pixels);
        }
        Self { read, shape, kept, digest: hasher.finalize(), groups: Vec::new() }
    }

    /// Inputs that lie in memory.
    ///
    /// # Errors
    /// An input that does not fit the shape.
    pub fn of_pixels(shape: Shape, pixels: &'a [Vec<f32>]) -> Result<Self> {
        Self::new(pixels.len(), shape, usize::MAX, |index| Ok(pixels[index].clone()))
    }

    /// The same inputs at another size, each value the mean over the area that it covers; as many are kept as here.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn at(&self, shape: Shape) -> Result<Inputs<'_>> {
        self.made(shape, move |pixels| area_mean(pixels, self.shape, shape))
    }

    /// One channel of the same inputs, at the size of `shape`; as many are kept as here.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn channel(&self, channel: usize, shape: Shape) -> Result<Inputs<'_>> {
        let (channels, outer) = (self.shape.channels, Shape { channels: 1, ..self.shape });
        self.made(Shape { channels: 1, ..shape }, move |pixels| {
            area_mean(&channel_of(pixels, channel, channels), outer, Shape { channels: 1, ..shape })
        })
    }

    fn made<'b>(
        &'b self,
        shape: Shape,
        make: impl Fn(&[f32]) -> Vec<f32> + Send + Sync + 'b,
    ) -> Result<Inputs<'b>> {
        let made =
            Inputs::new(self.len(), shape, self.kept_bytes(), move |index| Ok(make(&self.get(index)?)))?;
        Ok(Inputs { groups: self.groups.clone(), ..made })
    }

    /// The same inputs, those of equal numbers in `groups` belonging together: of one patient, say, or copies of one image. A
    /// family that compares inputs with others does not compare those. Without it, and for inputs beyond its length, each is
    /// on its own.
    pub fn with_groups(self, groups: Vec<usize>) -> Self {
        Self { groups, ..self }
    }

    /// The group of input `index`.
    pub fn group(&self, index: usize) -> usize {
        self.groups.get(index).copied().unwrap_or(index)
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The shape of each input.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The input of image `index`.
    ///
    /// # Errors
    /// A file that could be read before and cannot be now.
    pub fn get(&self, index: usize) -> Result<Cow<'_, [f32]>> {
        match self.kept.get(index).and_then(Option::as_deref) {
            Some(pixels) => Ok(pixels.into()),
            None => (self.read)(index).map(Into::into),
        }
    }

    /// Hands the inputs on in their order, at most `chunk` at a time, so that lists larger than memory can be measured.
    ///
    /// # Errors
    /// As [`get`](Self::get); as `each`.
    pub fn chunks(&self, chunk: usize, mut each: impl FnMut(&[&[f32]]) -> Result<()>) -> Result<()> {
        for start in (0..self.len()).step_by(chunk.max(1)) {
            let members: Vec<usize> = (start..(start + chunk).min(self.len())).collect();
            let pixels = members.par_iter().map(|&index| self.get(index)).collect::<Result<Vec<_>>>()?;
            let slices: Vec<&[f32]> = pixels.iter().map(AsRef::as_ref).collect();
            each(&slices)?;
        }
        Ok(())
    }

    /// Hash of the values of every input, in order.
    pub fn digest(&self) -> String {
        self.digest.to_hex().to_string()
    }

    /// Bytes of inputs kept in memory.
    pub fn kept_bytes(&self) -> usize {
        self.kept.iter().flatten().count() * self.shape.len() * size_of::<f32>()
    }
}
