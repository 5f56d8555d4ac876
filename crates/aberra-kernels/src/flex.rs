//! The operations on Burn's CPU backend: the kernels of this crate for `f32` tensors, stock operations for others.

use crate::activation::ActivationFunction;
use crate::backend::Kernels;
use crate::cost::{self, DecoderOutput, PixelLikelihood};
use crate::geometry::{Geometry, ImageSize, Sizes};
use crate::inverted_residual::{self, Block, Layer, PackedLayers, Strides};
use crate::norm::{self, BatchNormalization};
use crate::optimise::{self, AdamStep};
use crate::precision::OperandPrecision;
use crate::signal::Signal;
use crate::similarity::{self, Similarity};
use crate::{convolve, dense, divergence, pool, stock, weight_gradient};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{DType, Shape, TensorData};
use burn_flex::FlexTensor;

impl Kernels for Flex {
    fn convolution(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&input, &weight, &bias]) {
            return stock::convolution::<Self>(input, weight, bias, geometry, activation, precision);
        }
        let [batch, height, width, _] = input.shape().dims();
        let [kernel_height, kernel_width, _, channels] = weight.shape().dims();
        let output = [
            batch,
            geometry.convolved(height, kernel_height),
            geometry.convolved(width, kernel_width),
            channels,
        ];
        let sizes = Sizes::new(input.shape().dims(), output, [kernel_height, kernel_width], geometry);
        let (input, weight, bias) = (contiguous(input), contiguous(weight), contiguous(bias));
        let signal = Signal::plain(values(&input));
        let result =
            convolve::gather(signal, values(&weight), Some(values(&bias)), &sizes, activation, precision);
        reclaim([input]);
        tensor(result, output)
    }

    fn convolution_input_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        input: FlexTensor,
        weight: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &weight]) {
            return stock::convolution_input_gradient::<Self>(
                gradient, output, input, weight, geometry, activation, precision,
            );
        }
        let sizes = sizes(&input, &gradient, &weight, geometry);
        let (gradient, output, weight) = (contiguous(gradient), contiguous(output), contiguous(weight));
        let signal = Signal::gated(values(&gradient), values(&output), activation);
        let result =
            convolve::spread(signal, values(&weight), None, &sizes, ActivationFunction::Identity, precision);
        let shape = input.shape();
        reclaim([gradient, output, input]);
        tensor(result, shape)
    }

    fn convolution_weight_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        input: FlexTensor,
        weight: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &input]) {
            return stock::convolution_weight_gradient::<Self>(
                gradient, output, input, weight, geometry, activation, precision,
            );
        }
        let sizes = sizes(&input, &gradient, &weight, geometry);
        let (gradient, output, input) = (contiguous(gradient), contiguous(output), contiguous(input));
        let small = Signal::gated(values(&gradient), values(&output), activation);
        let result =
            weight_gradient::weight_gradient(Signal::plain(values(&input)), small, &sizes, precision);
        reclaim([gradient, output, input]);
        tensor(result, weight.shape())
    }

    fn transposed_convolution(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&input, &weight, &bias]) {
            return stock::transposed_convolution::<Self>(
                input, weight, bias, geometry, activation, precision,
            );
        }
        let [batch, height, width, _] = input.shape().dims();
        let [kernel_height, kernel_width, channels, _] = weight.shape().dims();
        let output = [
            batch,
            geometry.transposed(height, kernel_height),
            geometry.transposed(width, kernel_width),
            channels,
        ];
        let sizes = Sizes::new(output, input.shape().dims(), [kernel_height, kernel_width], geometry);
        let (input, weight, bias) = (contiguous(input), contiguous(weight), contiguous(bias));
        let signal = Signal::plain(values(&input));
        let result =
            convolve::spread(signal, values(&weight), Some(values(&bias)), &sizes, activation, precision);
        reclaim([input]);
        tensor(result, output)
    }

    fn transposed_convolution_input_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        weight: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &weight]) {
            return stock::transposed_convolution_input_gradient::<Self>(
                gradient, output, weight, geometry, activation, precision,
            );
        }
        let [batch, height, width, _] = gradient.shape().dims();
        let [kernel_height, kernel_width, _, channels] = weight.shape().dims();
        let shape = [
            batch,
            geometry.convolved(height, kernel_height),
            geometry.convolved(width, kernel_width),
            channels,
        ];
        let sizes = Sizes::new(gradient.shape().dims(), shape, [kernel_height, kernel_width], geometry);
        let (gradient, output, weight) = (contiguous(gradient), contiguous(output), contiguous(weight));
        let signal = Signal::gated(values(&gradient), values(&output), activation);
        let result =
            convolve::gather(signal, values(&weight), None, &sizes, ActivationFunction::Identity, precision);
        reclaim([gradient, output]);
        tensor(result, shape)
    }

    fn transposed_convolution_weight_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        input: FlexTensor,
        weight: FlexTensor,
        geometry: Geometry,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &input]) {
            return stock::transposed_convolution_weight_gradient::<Self>(
                gradient, output, input, weight, geometry, activation, precision,
            );
        }
        let sizes = sizes(&gradient, &input, &weight, geometry);
        let (gradient, output, input) = (contiguous(gradient), contiguous(output), contiguous(input));
        let large = Signal::gated(values(&gradient), values(&output), activation);
        let result =
            weight_gradient::weight_gradient(large, Signal::plain(values(&input)), &sizes, precision);
        reclaim([gradient, output, input]);
        tensor(result, weight.shape())
    }

    fn dense(
        input: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&input, &weight, &bias]) {
            return stock::dense::<Self>(input, weight, bias, activation, precision);
        }
        let [rows, inputs] = input.shape().dims();
        let [outputs] = bias.shape().dims();
        let (input, weight, bias) = (contiguous(input), contiguous(weight), contiguous(bias));
        let result =
            dense::forward(values(&input), values(&weight), values(&bias), inputs, activation, precision);
        reclaim([input]);
        tensor(result, [rows, outputs])
    }

    fn dense_input_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        weight: FlexTensor,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &weight]) {
            return stock::dense_input_gradient::<Self>(gradient, output, weight, activation, precision);
        }
        let [rows, _] = gradient.shape().dims();
        let [inputs, outputs] = weight.shape().dims();
        let gradient = gated(gradient, output, activation);
        let weight = contiguous(weight);
        let result = dense::input_gradient(&gradient, values(&weight), inputs, outputs, precision);
        pool::give(gradient);
        tensor(result, [rows, inputs])
    }

    fn dense_weight_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        input: FlexTensor,
        activation: ActivationFunction,
        precision: OperandPrecision,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &input]) {
            return stock::dense_weight_gradient::<Self>(gradient, output, input, activation, precision);
        }
        let [_, outputs] = gradient.shape().dims();
        let [_, inputs] = input.shape().dims();
        let gradient = gated(gradient, output, activation);
        let input = contiguous(input);
        let result = dense::weight_gradient(values(&input), &gradient, inputs, outputs, precision);
        pool::give(gradient);
        reclaim([input]);
        tensor(result, [inputs, outputs])
    }

    fn bias_gradient(gradient: FlexTensor, output: FlexTensor, activation: ActivationFunction) -> FlexTensor {
        if !all_f32(&[&gradient, &output]) {
            return stock::bias_gradient::<Self>(gradient, output, activation);
        }
        let channels = gradient.shape().last().copied().unwrap_or(0);
        let (gradient, output) = (contiguous(gradient), contiguous(output));
        let signal = Signal::gated(values(&gradient), values(&output), activation);
        tensor(weight_gradient::bias_gradient(signal, channels), [channels])
    }

    fn normalization(
        input: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        settings: BatchNormalization,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&input, &scale, &shift]) {
            return stock::norm::batch_norm::<Self>(input, scale, shift, settings);
        }
        let (input, scale, shift) = (contiguous(input), contiguous(scale), contiguous(shift));
        let result = norm::forward(values(&input), values(&scale), values(&shift), settings);
        let (shape, channels) = (input.shape(), scale.shape());
        reclaim([input]);
        (
            tensor(result.output, shape),
            tensor(result.mean, channels.clone()),
            tensor(result.variance, channels),
        )
    }

    fn normalization_gradients(
        gradient: FlexTensor,
        output: FlexTensor,
        input: FlexTensor,
        scale: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        settings: BatchNormalization,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&gradient, &output, &input, &scale, &mean, &variance]) {
            let gradient = stock::gate::<Self>(gradient, output, settings.activation);
            return stock::norm::batch_norm_gradients::<Self>(
                gradient,
                input,
                scale,
                [mean, variance],
                settings.epsilon,
            );
        }
        let [gradient, output, input, scale, mean, variance] =
            [gradient, output, input, scale, mean, variance].map(contiguous);
        let signal = Signal::gated(values(&gradient), values(&output), settings.activation);
        let statistics = [values(&mean), values(&variance)];
        let [of_input, of_scale, of_shift] =
            norm::gradients(signal, values(&input), values(&scale), statistics, settings.epsilon);
        let (shape, channels) = (input.shape(), scale.shape());
        reclaim([gradient, output, input]);
        (tensor(of_input, shape), tensor(of_scale, channels.clone()), tensor(of_shift, channels))
    }

    fn inverted_residual(input: FlexTensor, layers: PackedLayers<Self>, strides: Strides) -> FlexTensor {
        let all = [
            &layers.expansion,
            &layers.expansion_bias,
            &layers.depthwise,
            &layers.depthwise_bias,
            &layers.projection,
            &layers.projection_bias,
        ];
        if !all_f32(&[&input]) || !all_f32(&all) {
            return stock::inverted_residual::forward::<Self>(input, layers, strides);
        }
        let input = contiguous(input);
        let [expansion, expansion_bias, depthwise, depthwise_bias, projection, projection_bias] =
            all.map(|tensor| contiguous(tensor.clone()));
        let (images, batch) = (size(&input), input.shape()[0]);
        let [_, _, depth, _] = projection.shape().dims();
        let block = Block {
            input: images,
            expansion: packed(&expansion, &expansion_bias, images.channels, strides.expansion),
            depthwise: packed(&depthwise, &depthwise_bias, 1, strides.depthwise),
            projection: packed(&projection, &projection_bias, depth, 1),
            is_residual: strides.is_residual,
        };
        let output = block.output();
        let result = inverted_residual::forward(values(&input), &block);
        reclaim([input]);
        tensor(result, [batch, output.height, output.width, output.channels])
    }

    fn reconstruction_cost(
        output: FlexTensor,
        target: FlexTensor,
        likelihood: PixelLikelihood,
    ) -> FlexTensor {
        if !all_f32(&[&output, &target]) {
            return stock::cost::reconstruction_cost::<Self>(output, target, likelihood);
        }
        let (output, target) = (contiguous(output), contiguous(target));
        let batch = target.shape()[0].max(1) as f64;
        let sum = cost::cost(decoded(&output, &target), likelihood);
        reclaim([output]);
        tensor(vec![(sum / batch) as f32], [1])
    }

    fn reconstruction_cost_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        target: FlexTensor,
        likelihood: PixelLikelihood,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &target]) {
            return stock::cost::reconstruction_cost_gradient::<Self>(gradient, output, target, likelihood);
        }
        let (gradient, output, target) = (contiguous(gradient), contiguous(output), contiguous(target));
        let factor = values(&gradient)[0] / target.shape()[0].max(1) as f32;
        let result = cost::gradient(decoded(&output, &target), likelihood, factor);
        let shape = output.shape();
        reclaim([output]);
        tensor(result, shape)
    }

    fn structural_dissimilarity(
        output: FlexTensor,
        target: FlexTensor,
        similarity: Similarity,
    ) -> FlexTensor {
        if !all_f32(&[&output, &target]) {
            return stock::similarity::structural_dissimilarity::<Self>(output, target, similarity);
        }
        let (output, target) = (contiguous(output), contiguous(target));
        let size = size(&output);
        let value = similarity::dissimilarity(values(&output), values(&target), size, similarity);
        tensor(vec![value as f32], [1])
    }

    fn structural_dissimilarity_gradient(
        gradient: FlexTensor,
        output: FlexTensor,
        target: FlexTensor,
        similarity: Similarity,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &output, &target]) {
            return stock::similarity::structural_dissimilarity_gradient::<Self>(
                gradient, output, target, similarity,
            );
        }
        let [gradient, output, target] = [gradient, output, target].map(contiguous);
        let factor = f64::from(values(&gradient)[0]);
        let size = size(&output);
        let result = similarity::gradient(values(&output), values(&target), size, similarity, factor);
        let shape = output.shape();
        reclaim([output]);
        tensor(result, shape)
    }

    fn kl_divergence(mean: FlexTensor, log_variance: FlexTensor, free_bits: f32) -> FlexTensor {
        if !all_f32(&[&mean, &log_variance]) {
            return stock::cost::kl_divergence::<Self>(mean, log_variance, free_bits);
        }
        let (mean, log_variance) = (contiguous(mean), contiguous(log_variance));
        let latent = mean.shape()[1];
        let nats = divergence::divergence(values(&mean), values(&log_variance), latent, free_bits);
        tensor(vec![nats as f32], [1])
    }

    fn kl_divergence_gradients(
        gradient: FlexTensor,
        mean: FlexTensor,
        log_variance: FlexTensor,
        free_bits: f32,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&gradient, &mean, &log_variance]) {
            return stock::cost::kl_divergence_gradients::<Self>(gradient, mean, log_variance, free_bits);
        }
        let [gradient, mean, log_variance] = [gradient, mean, log_variance].map(contiguous);
        let (latent, factor) = (mean.shape()[1], values(&gradient)[0]);
        let [of_mean, of_log_variance] =
            divergence::gradients(values(&mean), values(&log_variance), latent, free_bits, factor);
        (tensor(of_mean, mean.shape()), tensor(of_log_variance, mean.shape()))
    }

    fn adam(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first_moment: FlexTensor,
        second_moment: FlexTensor,
        settings: AdamStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&parameter, &gradient, &first_moment, &second_moment]) {
            return stock::adam::<Self>(parameter, gradient, first_moment, second_moment, settings);
        }
        let gradient = contiguous(gradient);
        let (mut parameter, mut first, mut second) =
            (whole(parameter), whole(first_moment), whole(second_moment));
        // In place if the buffer is not shared; else Burn copies it first.
        optimise::adam(
            parameter.storage_mut(),
            values(&gradient),
            first.storage_mut(),
            second.storage_mut(),
            &settings,
        );
        reclaim([gradient]);
        (parameter, first, second)
    }

    fn sum_of_squares(input: FlexTensor) -> FlexTensor {
        if !all_f32(&[&input]) {
            return stock::sum_of_squares::<Self>(input);
        }
        let input = contiguous(input);
        tensor(vec![optimise::sum_of_squares(values(&input)) as f32], [1])
    }
}

fn all_f32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

fn sizes(large: &FlexTensor, small: &FlexTensor, weight: &FlexTensor, geometry: Geometry) -> Sizes {
    let [kernel_height, kernel_width, _, _] = weight.shape().dims();
    Sizes::new(large.shape().dims(), small.shape().dims(), [kernel_height, kernel_width], geometry)
}

/// The size of one of a tensor's images.
fn size(images: &FlexTensor) -> ImageSize {
    let [_, height, width, channels] = images.shape().dims();
    ImageSize { height, width, channels }
}

/// A layer of packed weights.
fn packed<'a>(weight: &'a FlexTensor, bias: &'a FlexTensor, inputs: usize, stride: usize) -> Layer<'a> {
    let [_, height, across, _] = weight.shape().dims();
    Layer { weight: values(weight), bias: values(bias), kernel: [height, across / inputs.max(1)], stride }
}

/// The tensor in row-major order, without a copy where possible.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The tensor in row-major order, in a buffer that holds nothing else.
fn whole(tensor: FlexTensor) -> FlexTensor {
    let copy = tensor.to_contiguous();
    // A tensor that was contiguous already shares its buffer with `copy`; dropping it makes the buffer unique.
    drop(tensor);
    copy
}

/// The elements of a contiguous `f32` tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor was made contiguous and is of type f32")
}

fn gated(gradient: FlexTensor, output: FlexTensor, activation: ActivationFunction) -> Vec<f32> {
    let (gradient, output) = (contiguous(gradient), contiguous(output));
    let signal = Signal::gated(values(&gradient), values(&output), activation);
    let mut result = pool::take(signal.len());
    signal.write_to(&mut result);
    reclaim([gradient, output]);
    result
}

/// Returns the buffers of tensors that are not shared to the pool.
fn reclaim(tensors: impl IntoIterator<Item = FlexTensor>) {
    for tensor in tensors {
        let fills_buffer = tensor.layout().num_elements() * size_of::<f32>() == tensor.bytes().len();
        if tensor.is_unique() && tensor.dtype() == DType::F32 && tensor.is_contiguous() && fills_buffer {
            let (bytes, ..) = tensor.into_data().into_parts();
            // Memory that was not allocated as a vector is left to its owner.
            if let Ok(buffer) = bytes.try_into_vec::<f32>() {
                pool::give(buffer);
            }
        }
    }
}

fn decoded<'a>(output: &'a FlexTensor, target: &'a FlexTensor) -> DecoderOutput<'a> {
    let (outputs, channels) = (output.shape()[3], target.shape()[3]);
    DecoderOutput { output: values(output), outputs, target: values(target), channels }
}

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
