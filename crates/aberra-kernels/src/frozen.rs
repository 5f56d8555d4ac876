//! Blocks of frozen networks, with weights that are packed once.

use crate::backend::Kernels;
use crate::inverted_residual::{PackedLayers, Strides};
use crate::tile::LANES;
use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// An inverted residual (Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>), the block of MobileNetV2 and
/// EfficientNet-Lite: an expanding convolution and a depthwise convolution, each followed by the activation ReLU6,
/// and a projection of single pixels; where it keeps the shape, it may add its input. Batch normalisation is expected to
/// be folded into weights and biases, which are not differentiated.
///
/// Convolutions pad with zeros so that an output has `size / stride` pixels, rounded up; an odd pixel of padding goes
/// below and to the right (TensorFlow's padding "SAME").
///
/// ```
/// use aberra_kernels::{Convolution, InvertedResidual};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let [expand, depthwise, project] = [[1, 1, 2, 12], [3, 3, 1, 12], [1, 1, 12, 4]].map(|shape| Convolution {
///     weight: Tensor::ones(shape, &device),
///     bias: Tensor::zeros([shape[3]], &device),
///     stride: if shape[0] == 3 { 2 } else { 1 },
/// });
/// let block = InvertedResidual::new(expand, depthwise, project, false);
/// let output = block.forward(Tensor::ones([1, 5, 7, 2], &device));
/// assert_eq!(output.dims(), [1, 3, 4, 4]);
/// assert_eq!(output.max().into_scalar::<f32>(), 12.0 * 6.0);
/// ```
#[derive(Clone, Debug)]
pub struct InvertedResidual {
    /// Packed weights and biases of expansion, depthwise convolution and projection.
    layers: [(Tensor<4>, Tensor<1>); 3],
    strides: Strides,
    inputs: usize,
}

/// Weights of a convolution with padding "SAME".
#[derive(Clone, Debug)]
pub struct Convolution {
    /// `[kernel height, kernel width, inputs, outputs]`; of a depthwise convolution `[.., 1, channels]`.
    pub weight: Tensor<4>,
    /// `[outputs]`
    pub bias: Tensor<1>,
    /// At least 1 and at most the kernel's height and width.
    pub stride: usize,
}

impl InvertedResidual {
    /// Packs the weights.
    ///
    /// # Panics
    /// If the shapes do not match each other, the projection is none of single pixels, or a block that changes the shape
    /// is to add its input.
    pub fn new(
        expansion: Convolution,
        depthwise: Convolution,
        projection: Convolution,
        is_residual: bool,
    ) -> Self {
        let [_, _, inputs, hidden] = expansion.weight.dims();
        let [_, _, per_channel, filtered] = depthwise.weight.dims();
        assert_eq!([per_channel, filtered], [1, hidden], "expected depthwise weights for {hidden} channels");
        let [height, width, projected, outputs] = projection.weight.dims();
        assert_eq!([height, width, projected], [1, 1, hidden], "expected a projection of {hidden} channels");
        assert_eq!(projection.stride, 1, "expected a projection of every pixel");
        let strides = Strides { expansion: expansion.stride, depthwise: depthwise.stride, is_residual };
        assert!(
            !is_residual || (inputs, strides.expansion, strides.depthwise) == (outputs, 1, 1),
            "expected a block that keeps the shape where the input is added"
        );
        for layer in [&expansion, &depthwise, &projection] {
            let [height, width, _, outputs] = layer.weight.dims();
            assert_eq!(layer.bias.dims(), [outputs], "expected a bias of {outputs} values");
            assert!(
                (1..=height.min(width)).contains(&layer.stride),
                "expected a stride from 1 to the kernel's {height} x {width} pixels, found {}",
                layer.stride
            );
        }
        // The filtered channels are stored in whole groups.
        let project = padded(projection.weight, 2);
        let layers = [
            (pack(expansion.weight), expansion.bias),
            (pack(depthwise.weight), depthwise.bias),
            (pack(project), projection.bias),
        ];
        Self { layers, strides, inputs }
    }

    /// The block's outputs.
    ///
    /// # Shapes
    /// `input [batch, height, width, inputs]`; returns `[batch, out height, out width, outputs]`.
    ///
    /// # Panics
    /// If the channels do not match the weights.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, _, _, channels] = input.dims();
        assert_eq!(channels, self.inputs, "expected an input of {} channels, found {channels}", self.inputs);
        let [expansion, depthwise, projection] = self.layers.clone();
        let layers = PackedLayers {
            expansion: expansion.0.into_dispatch(),
            expansion_bias: expansion.1.into_dispatch(),
            depthwise: depthwise.0.into_dispatch(),
            depthwise_bias: depthwise.1.into_dispatch(),
            projection: projection.0.into_dispatch(),
            projection_bias: projection.1.into_dispatch(),
        };
        Tensor::from_dispatch(<Dispatch as Kernels>::inverted_residual(
            input.into_dispatch(),
            layers,
            self.strides,
        ))
    }
}

/// `[kernel height, kernel width, inputs, outputs]` as `[panels, kernel height, kernel width x inputs, LANES]`, with
/// zeros for the outputs that the last panel lacks.
fn pack(weight: Tensor<4>) -> Tensor<4> {
    let weight = padded(weight, 3);
    let [height, width, inputs, outputs] = weight.dims();
    let device = weight.device();
    let packed = weight.reshape([height, width * inputs, outputs / LANES, LANES]).permute([2, 0, 1, 3]);
    // Through data, which are in the order of the axes: a permutation alone moves nothing in memory.
    Tensor::from_data(packed.into_data(), &device)
}

/// A tensor with an axis brought to a multiple of [`LANES`] by zeros.
fn padded(weight: Tensor<4>, axis: usize) -> Tensor<4> {
    let mut shape = weight.dims();
    let missing = shape[axis].next_multiple_of(LANES) - shape[axis];
    if missing == 0 {
        return weight;
    }
    shape[axis] = missing;
    let zeros = Tensor::zeros(shape, (&weight.device(), weight.dtype()));
    Tensor::cat(vec![weight, zeros], axis)
}
