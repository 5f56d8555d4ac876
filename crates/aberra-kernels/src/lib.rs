//! Fast CPU kernels behind Burn operations: convolution, transposed convolution, dense layers, optimiser step.
//!
//! All image tensors are channels-last, `[batch, height, width, channels]`. Bias and activation are part of the
//! operation, in both directions. On Burn's CPU device (`Device::flex()`), with and without autodiff, `f32` tensors run
//! on the kernels of this crate; other element types and devices run stock Burn operations.
//!
//! Results are the same bits for any number of threads, and each image's output is the same bits in any batch.
//!
//! Arguments are expected to be of matching shapes: as in Burn itself, a mismatch is a defect of the caller and panics.

mod activation;
mod backend;
mod convolve;
mod dense;
mod flex;
mod geometry;
mod gradient;
mod optimise;
mod product;
mod stock;
mod tile;
mod weight_gradient;
mod window;

pub use activation::Activation;
pub use backend::Kernels;
pub use geometry::Geometry;
pub use optimise::AdamStep;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

/// Convolution with bias and activation: `activation(input * weight + bias)`.
///
/// # Shapes
/// `input [batch, height, width, inputs]`, `weight [kernel height, kernel width, inputs, outputs]`, `bias [outputs]`;
/// returns `[batch, out height, out width, outputs]` with sizes as in [`Geometry::convolved`].
///
/// # Panics
/// If the shapes do not match each other or the geometry.
pub fn conv2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
    activation: Activation,
) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let [kernel_height, kernel_width, inputs, outputs] = weight.dims();
    assert_eq!(
        channels, inputs,
        "expected an input of {inputs} channels for these weights, found {channels}"
    );
    geometry.convolved(height, kernel_height);
    geometry.convolved(width, kernel_width);
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::convolution(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
        activation,
    ))
}

/// Transposed convolution with bias and activation, the adjoint of [`conv2d`] for weights of the same shape.
///
/// # Shapes
/// `input [batch, height, width, inputs]`, `weight [kernel height, kernel width, outputs, inputs]`, `bias [outputs]`;
/// returns `[batch, out height, out width, outputs]` with sizes as in [`Geometry::transposed`].
///
/// # Panics
/// If the shapes do not match each other or the geometry.
pub fn conv_transpose2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    geometry: Geometry,
    activation: Activation,
) -> Tensor<4> {
    let [_, height, width, channels] = input.dims();
    let [kernel_height, kernel_width, outputs, inputs] = weight.dims();
    assert_eq!(
        channels, inputs,
        "expected an input of {inputs} channels for these weights, found {channels}"
    );
    geometry.transposed(height, kernel_height);
    geometry.transposed(width, kernel_width);
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::transposed_convolution(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
        activation,
    ))
}

/// Dense layer with bias and activation: `activation(input weight + bias)`.
///
/// # Shapes
/// `input [rows, inputs]`, `weight [inputs, outputs]`, `bias [outputs]`; returns `[rows, outputs]`.
///
/// # Panics
/// If the shapes do not match.
pub fn linear(
    input: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<2> {
    let [_, values] = input.dims();
    let [inputs, outputs] = weight.dims();
    assert_eq!(values, inputs, "expected {inputs} inputs per row for these weights, found {values}");
    let bias = bias_or_zeros(bias, outputs, &weight);
    Tensor::from_dispatch(<Dispatch as Kernels>::dense(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        activation,
    ))
}

/// One step of Adam or AdamW on a parameter; returns parameter, first and second moment.
///
/// All four are tensors without autodiff, of one shape. Buffers that nothing else refers to are updated in place.
///
/// # Panics
/// If the shapes differ.
pub fn adam_step<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first_moment: Tensor<D>,
    second_moment: Tensor<D>,
    settings: AdamStep,
) -> [Tensor<D>; 3] {
    let shape = parameter.dims();
    for (name, other) in
        [("gradient", &gradient), ("first moment", &first_moment), ("second moment", &second_moment)]
    {
        assert_eq!(shape, other.dims(), "expected a {name} of the parameter's shape");
    }
    let (parameter, first, second) = <Dispatch as Kernels>::adam(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first_moment.into_dispatch(),
        second_moment.into_dispatch(),
        settings,
    );
    [parameter, first, second].map(Tensor::from_dispatch)
}

/// Sum of the squares of all elements, shape `[1]`: the square of a gradient's norm. Not differentiated.
pub fn sum_of_squares<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Kernels>::sum_of_squares(tensor.into_dispatch()))
}

/// The bias, or zeros on the device of the weights.
fn bias_or_zeros<const D: usize>(bias: Option<Tensor<1>>, outputs: usize, weight: &Tensor<D>) -> Tensor<1> {
    let bias = bias.unwrap_or_else(|| Tensor::zeros([outputs], (&weight.device(), weight.dtype())));
    let [found] = bias.dims();
    assert_eq!(found, outputs, "expected a bias of {outputs} values for these weights, found {found}");
    bias
}
