//! Structural dissimilarity in stock Burn operations. Each channel of each image is a plane `[1, height, width]` of its
//! own.

use super::layout::{CHANNELS_FIRST, CHANNELS_LAST};
use crate::similarity::{CONTRAST_CONSTANT, LEAST_MEAN, LUMINANCE_CONSTANT, Similarity, window_taps};
use burn::backend::{
    Backend, TensorMetadata, get_or_init_device_settings,
    tensor::{BoolTensor, FloatTensor},
};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Shape, TensorData};

/// The dissimilarity, averaged over images and channels.
pub(crate) fn structural_dissimilarity<B: Backend>(
    output: FloatTensor<B>,
    target: FloatTensor<B>,
    similarity: Similarity,
) -> FloatTensor<B> {
    let exponents = similarity.exponents(output.shape()[1], output.shape()[2]);
    let window = GaussianWindow::<B>::of_kind(&output);
    let scales = compare::<B>(planes::<B>(output), planes::<B>(target), exponents.len(), &window);
    let mean = B::float_mean(similarities::<B>(&scales, &exponents));
    B::float_add_scalar(B::float_neg(mean), 1.0.into())
}

/// Gradient with respect to the output, from the gradient of the dissimilarity.
pub(crate) fn structural_dissimilarity_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    output: FloatTensor<B>,
    target: FloatTensor<B>,
    similarity: Similarity,
) -> FloatTensor<B> {
    let shape = output.shape();
    let exponents = similarity.exponents(shape[1], shape[2]);
    let window = GaussianWindow::<B>::of_kind(&output);
    let scales = compare::<B>(planes::<B>(output), planes::<B>(target), exponents.len(), &window);
    let similarities = similarities::<B>(&scales, &exponents);
    let factor = -1.0 / (shape[0] * shape[3]).max(1) as f64;
    let gradient = B::float_mul_scalar(B::float_reshape(gradient, Shape::new([1, 1])), factor.into());
    let mut sum: Option<FloatTensor<B>> = None;
    for (scale, exponent) in scales.iter().zip(&exponents).rev() {
        let slope = match exponents.len() {
            1 => gradient.clone(),
            _ => {
                let (mean, is_low) = scale.floored_mean();
                let slope = B::float_mul_scalar(similarities.clone(), (*exponent).into());
                let slope = B::float_mask_fill(B::float_div(slope, mean), is_low, 0.0.into());
                B::float_mul(slope, gradient.clone())
            }
        };
        let here = scale.gradient(slope, &window);
        sum = Some(match sum {
            Some(coarser) => {
                let (x, pair) = (scale.output.clone(), [2, 2]);
                let spread = B::avg_pool2d_backward(x, coarser, pair, pair, [0, 0], true, false);
                B::float_add(here, spread)
            }
            None => here,
        });
    }
    let finest = sum.expect("images are compared at one scale at least");
    let channels_first = Shape::new([shape[0], shape[3], shape[1], shape[2]]);
    B::float_permute(B::float_reshape(finest, channels_first), &CHANNELS_LAST)
}

/// `[batch, height, width, channels]` as `[batch x channels, 1, height, width]`.
fn planes<B: Backend>(images: FloatTensor<B>) -> FloatTensor<B> {
    let shape = images.shape();
    let images = B::float_permute(images, &CHANNELS_FIRST);
    B::float_reshape(images, Shape::new([shape[0] * shape[3], 1, shape[1], shape[2]]))
}

/// Compares planes at the given number of scales, finest first.
fn compare<B: Backend>(
    mut output: FloatTensor<B>,
    mut target: FloatTensor<B>,
    scales: usize,
    window: &GaussianWindow<B>,
) -> Vec<ScaleTerms<B>> {
    let mut compared = Vec::with_capacity(scales);
    for number in 1..=scales {
        compared.push(ScaleTerms::new(output.clone(), target.clone(), number == scales, window));
        if number < scales {
            [output, target] =
                [output, target].map(|planes| B::avg_pool2d(planes, [2, 2], [2, 2], [0, 0], true, false));
        }
    }
    compared
}

/// The similarity of each plane, `[planes, 1]`.
fn similarities<B: Backend>(scales: &[ScaleTerms<B>], exponents: &[f64]) -> FloatTensor<B> {
    if let [scale] = scales {
        return scale.mean.clone();
    }
    let terms = scales.iter().zip(exponents);
    let powers =
        terms.map(|(scale, exponent)| B::float_powf_scalar(scale.floored_mean().0, (*exponent).into()));
    powers.reduce(B::float_mul).expect("images are compared at one scale at least")
}

/// The separable Gaussian window.
struct GaussianWindow<B: Backend> {
    down: FloatTensor<B>,
    across: FloatTensor<B>,
}

impl<B: Backend> GaussianWindow<B> {
    /// On the device of a tensor, with its element type.
    fn of_kind(tensor: &FloatTensor<B>) -> Self {
        let taps: Vec<f32> = window_taps().iter().map(|&tap| tap as f32).collect();
        let data = TensorData::new(taps, [1, 1, Similarity::WINDOW_PX, 1]);
        let down = B::float_from_data(data, &tensor.device());
        let down = B::float_cast(down, tensor.dtype().into());
        let across = B::float_reshape(down.clone(), Shape::new([1, 1, 1, Similarity::WINDOW_PX]));
        Self { down, across }
    }

    /// Windowed means at every position of the window.
    fn filter(&self, planes: FloatTensor<B>) -> FloatTensor<B> {
        let options = || ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
        let rows = B::conv2d(planes, self.down.clone(), None, options());
        B::conv2d(rows, self.across.clone(), None, options())
    }

    /// The adjoint of [`filter`](Self::filter).
    fn spread(&self, windowed: FloatTensor<B>) -> FloatTensor<B> {
        let options = || ConvTransposeOptions::new([1; 2], [0; 2], [0; 2], [1; 2], 1);
        let rows = B::conv_transpose2d(windowed, self.across.clone(), None, options());
        B::conv_transpose2d(rows, self.down.clone(), None, options())
    }
}

/// Planes at one scale, with the terms of the SSIM at every position of the window.
struct ScaleTerms<B: Backend> {
    output: FloatTensor<B>,
    target: FloatTensor<B>,
    mean_x: FloatTensor<B>,
    mean_y: FloatTensor<B>,
    /// The contrast-structure term, and its denominator.
    contrast: FloatTensor<B>,
    spread: FloatTensor<B>,
    /// The luminance term and its denominator, at the coarsest scale only.
    luminance: Option<[FloatTensor<B>; 2]>,
    /// The product of the terms, averaged over positions, `[planes, 1]`.
    mean: FloatTensor<B>,
}

impl<B: Backend> ScaleTerms<B> {
    fn new(
        output: FloatTensor<B>,
        target: FloatTensor<B>,
        has_luminance: bool,
        window: &GaussianWindow<B>,
    ) -> Self {
        let square = |tensor: &FloatTensor<B>| B::float_mul(tensor.clone(), tensor.clone());
        let twice_plus = |tensor: FloatTensor<B>, constant: f64| {
            B::float_add_scalar(B::float_mul_scalar(tensor, 2.0.into()), constant.into())
        };
        let [mean_x, mean_y] = [&output, &target].map(|planes| window.filter(planes.clone()));
        let squares = window.filter(B::float_add(square(&output), square(&target)));
        let products = window.filter(B::float_mul(output.clone(), target.clone()));
        let mean_squares = B::float_add(square(&mean_x), square(&mean_y));
        let mean_product = B::float_mul(mean_x.clone(), mean_y.clone());
        let covariance = B::float_sub(products, mean_product.clone());
        let spread = B::float_sub(squares, mean_squares.clone());
        let spread = B::float_add_scalar(spread, CONTRAST_CONSTANT.into());
        let contrast = B::float_div(twice_plus(covariance, CONTRAST_CONSTANT), spread.clone());
        let luminance = has_luminance.then(|| {
            let brightness = B::float_add_scalar(mean_squares, LUMINANCE_CONSTANT.into());
            [B::float_div(twice_plus(mean_product, LUMINANCE_CONSTANT), brightness.clone()), brightness]
        });
        let local = match &luminance {
            Some([luminance, _]) => B::float_mul(contrast.clone(), luminance.clone()),
            None => contrast.clone(),
        };
        let shape = local.shape();
        let flat = B::float_reshape(local, Shape::new([shape[0], shape[2] * shape[3]]));
        Self { mean: B::float_mean_dim(flat, 1), output, target, mean_x, mean_y, contrast, spread, luminance }
    }

    /// The mean, but at least [`LEAST_MEAN`], and a mask of where it was less.
    fn floored_mean(&self) -> (FloatTensor<B>, BoolTensor<B>) {
        let settings = get_or_init_device_settings::<B>(&self.mean.device());
        let is_low = B::float_lower_elem(self.mean.clone(), LEAST_MEAN.into(), settings.bool_dtype);
        (B::float_mask_fill(self.mean.clone(), is_low.clone(), LEAST_MEAN.into()), is_low)
    }

    /// Gradient of `sum over planes of slope mean` with respect to the output; `slope` is `[planes, 1]` or `[1, 1]`.
    fn gradient(&self, slope: FloatTensor<B>, window: &GaussianWindow<B>) -> FloatTensor<B> {
        let [planes, _, height, width] = self.contrast.shape().dims();
        let slope = B::float_div_scalar(slope, ((height * width) as f64).into());
        let slope = B::float_expand(slope, Shape::new([planes, 1]));
        let slope = B::float_reshape(slope, Shape::new([planes, 1, 1, 1]));
        let twice = |tensor: FloatTensor<B>| B::float_mul_scalar(tensor, 2.0.into());
        let less = |factor: &FloatTensor<B>, of: &FloatTensor<B>, from: &FloatTensor<B>| {
            B::float_sub(from.clone(), B::float_mul(factor.clone(), of.clone()))
        };
        let by_contrast = match &self.luminance {
            Some([luminance, _]) => B::float_mul(luminance.clone(), slope.clone()),
            None => B::float_expand(slope.clone(), self.contrast.shape()),
        };
        let by_contrast = B::float_div(by_contrast, self.spread.clone());
        let turn = less(&self.contrast, &self.mean_x, &self.mean_y);
        let mut by_mean = B::float_neg(twice(B::float_mul(by_contrast.clone(), turn)));
        if let Some([luminance, brightness]) = &self.luminance {
            let by_luminance = B::float_div(B::float_mul(self.contrast.clone(), slope), brightness.clone());
            let turn = less(luminance, &self.mean_x, &self.mean_y);
            by_mean = B::float_add(by_mean, twice(B::float_mul(by_luminance, turn)));
        }
        let by_square = B::float_neg(B::float_mul(by_contrast.clone(), self.contrast.clone()));
        let [by_mean, by_square, by_product] =
            [by_mean, by_square, twice(by_contrast)].map(|slopes| window.spread(slopes));
        let of_square = twice(B::float_mul(self.output.clone(), by_square));
        let of_product = B::float_mul(self.target.clone(), by_product);
        B::float_add(by_mean, B::float_add(of_square, of_product))
    }
}
