//! A frozen feature extractor: EfficientNet-Lite0 up to block 10. Its outputs are statistics of edges, textures and parts that no
//! training on a user's images has to find first.
//!
//! Two sets of weights lie in the crate, in the folder `backbone/` beside `src/`, with their origins and licences in `NOTICE` and
//! the scripts that made them: those trained on ImageNet, and those that learnt from generated images alone. A user's own
//! weights of the same architecture can take their place.

mod architecture;
mod source;
mod weights;

use std::sync::Arc;

use aberra_kernels::{ActivationFunction, Convolution, InvertedResidual};
use aberra_metrics::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use include_flate::flate;

use self::architecture::{BLOCKS, Block, STEM};
pub use self::source::{BackboneSource, Platform};
use crate::graph::{ConvolutionLayer, Graph, Pads, Value};
use crate::shape::Shape;
use crate::tensors::{Tensors, read_safetensors};

/// The weights trained on ImageNet: see `backbone/NOTICE`.
const EMBEDDED: &[u8] = include_bytes!("../../backbone/efficientnet-lite0-10.safetensors");

// The weights that learnt from generated images: see `backbone/NOTICE`. Compressed, as a program seldom reads them.
flate!(static GENERATED: [u8] from "backbone/generated-10.safetensors");

/// Mean and deviation to which pixels were normalised in training, the same for all channels.
const MEAN: f32 = 0.498;
const DEVIATION: f32 = 0.502;

/// EfficientNet-Lite0 (Tan and Le 2019, <https://arxiv.org/abs/1905.11946>; without squeeze-and-excitation, with ReLU6)
/// up to block 10, batch normalisation folded into the convolutions.
///
/// Computes in single precision. The features of an image do not depend on the batch it is in, nor on the number of
/// threads, bit for bit.
///
/// ```
/// use aberra_models::Backbone;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let backbone = Backbone::embedded(&device)?;
/// let [edges, textures, parts] = backbone.features(Tensor::ones([2, 96, 65, 3], &device))?;
/// assert_eq!(edges.dims(), [2, 24, 17, 24]);
/// assert_eq!(textures.dims(), [2, 12, 9, 40]);
/// assert_eq!(parts.dims(), [2, 6, 5, 112]);
/// # Ok::<(), aberra_metrics::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backbone {
    blocks: Vec<InvertedResidual>,
    device: Device,
    hash: String,
    /// Its weights, where they are not in this crate.
    own: Option<Arc<Tensors>>,
}

impl Backbone {
    /// The blocks whose outputs are features.
    pub const FEATURE_BLOCKS: [usize; 3] = [2, 4, 10];
    /// Channels of each of the [feature blocks](Self::FEATURE_BLOCKS).
    pub const CHANNELS: [usize; 3] = [24, 40, 112];
    /// Pixels of the image from one feature to the next, for each of the feature blocks; the last ones may reach beyond the
    /// image.
    pub const STRIDES: [usize; 3] = [4, 8, 16];
    /// Least height and width of an image, in pixels.
    pub const LEAST_SIDE_PX: usize = 32;

    /// With the weights in this crate that were trained on ImageNet.
    ///
    /// # Errors
    /// As [`from_safetensors`](Self::from_safetensors); the tests show that there are none.
    pub fn embedded(device: &Device) -> Result<Self> {
        Self::from_safetensors(EMBEDDED, device)
    }

    /// With the weights in this crate that learnt from generated images alone: nothing in them comes from elsewhere.
    ///
    /// # Errors
    /// As [`from_safetensors`](Self::from_safetensors); the tests show that there are none.
    pub fn generated(device: &Device) -> Result<Self> {
        Self::from_safetensors(&GENERATED, device)
    }

    /// With the weights in the bytes of a safetensors file: those of the same architecture, of element type F16, BF16 or
    /// F32, under the names that the weights in this crate have (`stem.weight`, `blocks.3.expand.bias`, ...).
    ///
    /// Layouts are `[kernel height, kernel width, inputs, outputs]` for the stem, `[kernel height, kernel width, channels]`
    /// for depthwise convolutions and `[inputs, outputs]` for `expand` and `project`.
    ///
    /// # Errors
    /// A settings error: the bytes are no safetensors file, or a weight is missing, left over, of another shape or element
    /// type, or not finite.
    pub fn from_safetensors(file: &[u8], device: &Device) -> Result<Self> {
        let tensors = read_safetensors("backbone", file)?;
        let own = (file != EMBEDDED && file != *GENERATED).then(|| Arc::new(tensors.clone()));
        Ok(Self { own, ..Self::from_weights(tensors, &blake3::hash(file).to_hex(), device)? })
    }

    /// With the [own weights](Self::own_weights) of another, whose hash is kept.
    ///
    /// # Errors
    /// A settings error: a weight is missing, left over, of another shape or not finite.
    pub fn from_own_weights(tensors: Tensors, hash: &str, device: &Device) -> Result<Self> {
        let own = Some(Arc::new(tensors.clone()));
        Ok(Self { own, ..Self::from_weights(tensors, hash, device)? })
    }

    fn from_weights(mut tensors: Tensors, hash: &str, device: &Device) -> Result<Self> {
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (number, block) in BLOCKS.iter().enumerate() {
            blocks.push(inverted_residual(&mut tensors, number, *block, device)?);
        }
        match tensors.keys().next() {
            Some(extra) => {
                Err(Error::settings(format!("backbone: the network has no weight called {extra}")))
            }
            None => Ok(Self { blocks, device: device.clone(), hash: hash.to_owned(), own: None }),
        }
    }

    /// Its weights where they are a user's own: what is fitted to their features cannot do without them.
    pub fn own_weights(&self) -> Option<&Tensors> {
        self.own.as_deref()
    }

    /// Hash of the file of weights (BLAKE3, hexadecimal), for the provenance of what was fitted to the features.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The device that its weights are on.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Rejects images that it does not take.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub(crate) fn check_shape(shape: Shape) -> Result<()> {
        check(shape)
    }

    /// The outputs of the [feature blocks](Self::FEATURE_BLOCKS).
    ///
    /// # Shapes
    /// `images [batch, height, width, channels]`, pixels from 0 to 1, of 1 or 3 channels: a single channel is used as red,
    /// green and blue alike. For each block `[batch, height / stride, width / stride, block channels]`, sizes rounded up.
    ///
    /// # Errors
    /// A settings error: images of another number of channels, or smaller than [`LEAST_SIDE_PX`](Self::LEAST_SIDE_PX).
    pub fn features(&self, images: Tensor<4>) -> Result<[Tensor<4>; 3]> {
        let [_, height, width, channels] = images.dims();
        check(Shape { height, width, channels })?;
        let normalized = (images - MEAN) / DEVIATION;
        let mut features = if channels == 1 { normalized.repeat_dim(3, 3) } else { normalized };
        let mut kept = Vec::with_capacity(Self::FEATURE_BLOCKS.len());
        for (number, block) in self.blocks.iter().enumerate() {
            features = block.forward(features);
            if Self::FEATURE_BLOCKS.contains(&number) {
                kept.push(features.clone());
            }
        }
        kept.try_into().map_err(|_| Error::settings("backbone: expected a block of every feature"))
    }

    /// Values that a gradient with respect to an image of this shape holds: the inputs of all blocks, and forward and backward
    /// those inside the widest.
    pub(crate) fn activations_per_image(shape: Shape) -> usize {
        let mut area = shape.area();
        let (mut inputs, mut widest) = (0, 0);
        for (number, block) in BLOCKS.iter().enumerate() {
            inputs += area * block.inputs;
            let strides = if number == 0 { STEM.stride * block.stride } else { block.stride };
            widest = widest.max(area / if number == 0 { STEM.stride.pow(2) } else { 1 } * block.expanded);
            area = area.div_ceil(strides * strides);
        }
        2 * (inputs + 2 * widest)
    }

    /// Its weights, wherever they are.
    ///
    /// # Errors
    /// As [`from_safetensors`](Self::from_safetensors).
    fn weights(&self) -> Result<Tensors> {
        if let Some(own) = self.own_weights() {
            return Ok(own.clone());
        }
        let is_embedded = *blake3::hash(EMBEDDED).to_hex() == *self.hash;
        read_safetensors("backbone", if is_embedded { EMBEDDED } else { &GENERATED })
    }

    /// [`features`](Self::features) of `images`, `[channels, height, width]`, in a graph.
    ///
    /// # Errors
    /// As `features`.
    pub(crate) fn features_graph(
        &self,
        graph: &mut Graph,
        images: Value,
        shape: Shape,
    ) -> Result<Vec<FeatureMap>> {
        check(shape)?;
        let centered = graph.plus(images, -f64::from(MEAN));
        let deviation = graph.constant(&[], &[DEVIATION]);
        let normalized = graph.divide(centered, deviation);
        let mut value = match shape.channels {
            1 => graph.concat(&[normalized; 3], 0),
            _ => normalized,
        };
        let mut tensors = self.weights()?;
        let mut size = [shape.height, shape.width];
        let mut kept = Vec::with_capacity(Self::FEATURE_BLOCKS.len());
        for (number, block) in BLOCKS.iter().enumerate() {
            let input = value;
            let layers = block_layers(&mut tensors, number, *block)?;
            let last = layers.len() - 1;
            for (at, Layer { weight, full, bias, stride }) in layers.into_iter().enumerate() {
                let pads = Pads::same(size, [full[0], full[1]], stride);
                let depthwise = at == 1;
                let layer = ConvolutionLayer { weight, dims: full, bias, stride, pads, depthwise };
                value = graph.convolution(value, &layer);
                if at < last {
                    value = graph.activation(value, ActivationFunction::Relu6);
                }
                size = size.map(|side| side.div_ceil(stride));
            }
            if number > 0 && block.keeps_shape() {
                value = graph.add(value, input);
            }
            if Self::FEATURE_BLOCKS.contains(&number) {
                kept.push(FeatureMap { value, dims: [block.outputs, size[0], size[1]] });
            }
        }
        Ok(kept)
    }

    /// As [`features`](Self::features), for images `[height, width, channels]` of one shape.
    ///
    /// # Errors
    /// As `features`; an image that does not fit the shape.
    pub fn features_of(&self, images: &[&[f32]], shape: Shape) -> Result<[Tensor<4>; 3]> {
        images.iter().try_for_each(|image| shape.check(image))?;
        let data =
            TensorData::new(images.concat(), [images.len(), shape.height, shape.width, shape.channels]);
        self.features(Tensor::from_data(data, &self.device))
    }
}

fn check(shape: Shape) -> Result<()> {
    let least = Backbone::LEAST_SIDE_PX;
    if shape.shorter_side() < least || ![1, 3].contains(&shape.channels) {
        return Err(Error::settings(format!(
            "backbone: expected images of at least {least} x {least} pixels and 1 or 3 channels, found {shape}"
        )));
    }
    Ok(())
}

/// The output of a feature block in a graph.
pub(crate) struct FeatureMap {
    /// `[channels, height, width]`.
    pub(crate) value: Value,
    /// The same lengths.
    pub(crate) dims: [usize; 3],
}

/// A layer's weights.
struct Layer {
    weight: Vec<f32>,
    /// `[kernel height, kernel width, inputs, outputs]`; of a depthwise convolution `[.., 1, channels]`.
    full: [usize; 4],
    bias: Vec<f32>,
    stride: usize,
}

/// Expansion, depthwise convolution and projection of a block; the first takes the stem as its expansion.
fn block_layers(tensors: &mut Tensors, number: usize, block: Block) -> Result<[Layer; 3]> {
    let Block { inputs, expanded, kernel, stride, outputs } = block;
    let name = |name: &str| format!("blocks.{number}.{name}");
    let expansion = if number == 0 {
        layer(tensors, "stem", &[STEM.kernel, STEM.kernel, inputs, expanded], STEM.stride)?
    } else {
        layer(tensors, &name("expand"), &[inputs, expanded], 1)?
    };
    let depthwise = layer(tensors, &name("depthwise"), &[kernel, kernel, expanded], stride)?;
    Ok([expansion, depthwise, layer(tensors, &name("project"), &[expanded, outputs], 1)?])
}

/// A block of the network.
fn inverted_residual(
    tensors: &mut Tensors,
    number: usize,
    block: Block,
    device: &Device,
) -> Result<InvertedResidual> {
    let [expansion, depthwise, projection] = block_layers(tensors, number, block)?.map(|layer| Convolution {
        weight: Tensor::from_data(TensorData::new(layer.weight, layer.full), device),
        bias: Tensor::from_data(TensorData::new(layer.bias, [layer.full[3]]), device),
        stride: layer.stride,
    });
    Ok(InvertedResidual::new(expansion, depthwise, projection, number > 0 && block.keeps_shape()))
}

/// Takes weight and bias of a layer. Axes that the file's layout leaves out have length 1.
fn layer(tensors: &mut Tensors, name: &str, shape: &[usize], stride: usize) -> Result<Layer> {
    let full = match *shape {
        [inputs, outputs] => [1, 1, inputs, outputs],
        [height, width, channels] => [height, width, 1, channels],
        _ => [shape[0], shape[1], shape[2], shape[3]],
    };
    let weight = weights::take(tensors, &format!("{name}.weight"), shape)?;
    let bias = weights::take(tensors, &format!("{name}.bias"), &full[3..])?;
    Ok(Layer { weight, full, bias, stride })
}
