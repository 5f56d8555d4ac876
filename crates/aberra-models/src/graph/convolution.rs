//! Convolutions and transposed convolutions of images `[channels, height, width]`.

use super::{Attribute, Element, Graph, Value, ValueType};

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pads {
    /// Rows above.
    pub top: usize,
    /// Columns on the left.
    pub left: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Pads {
    /// The same on all sides.
    pub fn even(padding: usize) -> Self {
        Self { top: padding, left: padding, bottom: padding, right: padding }
    }

    /// Those of "SAME": the output has a place for each `stride` pixels, also for the last ones of a side that are fewer.
    pub fn same([height, width]: [usize; 2], kernel: [usize; 2], stride: usize) -> Self {
        let of_side = |side: usize, kernel: usize| {
            let total = ((side.div_ceil(stride) - 1) * stride + kernel).saturating_sub(side);
            (total / 2, total - total / 2)
        };
        let ((top, bottom), (left, right)) = (of_side(height, kernel[0]), of_side(width, kernel[1]));
        Self { top, left, bottom, right }
    }
}

/// A convolution's weights, and how it goes over an image.
#[derive(Clone, Debug)]
pub struct ConvolutionLayer {
    /// `[kernel height, kernel width, large, small]`, row-major: channels of the side that the convolution comes from (or the
    /// transposed one goes to), then of the other.
    pub weight: Vec<f32>,
    /// The shape of the weight.
    pub dims: [usize; 4],
    /// For each output channel.
    pub bias: Vec<f32>,
    /// Pixels from one place to the next.
    pub stride: usize,
    /// Zeros around the larger image.
    pub pads: Pads,
    /// Whether each channel is convolved on its own; `large` is then 1.
    pub depthwise: bool,
}

impl ConvolutionLayer {
    /// `[small, large, kernel height, kernel width]`, which is how ONNX has both kinds.
    fn weight_of_onnx(&self) -> Vec<f32> {
        let [height, width, large, small] = self.dims;
        let mut weight = Vec::with_capacity(self.weight.len());
        for (low, high) in (0..small).flat_map(|low| (0..large).map(move |high| (low, high))) {
            let at = |place: usize| (place * large + high) * small + low;
            weight.extend((0..height * width).map(|place| self.weight[at(place)]));
        }
        weight
    }
}

impl Graph {
    /// A convolution with bias: `[large, height, width]` -> `[small, ...]`.
    pub fn convolution(&mut self, input: Value, layer: &ConvolutionLayer) -> Value {
        let [kernel_height, kernel_width, large, small] = layer.dims;
        let groups = if layer.depthwise { small } else { 1 };
        let [channels, height, width] = self.image("Conv", input, large * groups);
        let Pads { top, left, bottom, right } = layer.pads;
        let side = |length: usize, pads: usize, kernel: usize| {
            (length + pads).checked_sub(kernel).map_or(0, |rest| rest / layer.stride + 1)
        };
        let (rows, columns) =
            (side(height, top + bottom, kernel_height), side(width, left + right, kernel_width));
        if rows * columns == 0 {
            self.object(format!(
                "Conv: expected an image no smaller than the kernel, found {channels} x {height} x {width}"
            ));
        }
        self.convolve("Conv", input, layer, groups, [small, rows, columns])
    }

    /// A transposed convolution with bias: `[small, height, width]` -> `[large, ...]`.
    pub fn transposed_convolution(&mut self, input: Value, layer: &ConvolutionLayer) -> Value {
        let [kernel_height, kernel_width, large, small] = layer.dims;
        let [_, height, width] = self.image("ConvTranspose", input, small);
        let Pads { top, left, bottom, right } = layer.pads;
        let side = |length: usize, pads: usize, kernel: usize| {
            ((length.max(1) - 1) * layer.stride + kernel).saturating_sub(pads)
        };
        let (rows, columns) =
            (side(height, top + bottom, kernel_height), side(width, left + right, kernel_width));
        self.convolve("ConvTranspose", input, layer, 1, [large, rows, columns])
    }

    fn convolve(
        &mut self,
        operator: &'static str,
        input: Value,
        layer: &ConvolutionLayer,
        groups: usize,
        output: [usize; 3],
    ) -> Value {
        let [height, width, large, small] = layer.dims;
        let weight = self.constant(&[small, large, height, width], &layer.weight_of_onnx());
        let bias = self.constant(&[output[0]], &layer.bias);
        let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&value| value as i64).collect());
        let Pads { top, left, bottom, right } = layer.pads;
        let attributes = vec![
            ("kernel_shape", ints(&[height, width])),
            ("strides", ints(&[layer.stride; 2])),
            ("pads", ints(&[top, left, bottom, right])),
            ("dilations", ints(&[1, 1])),
            ("group", Attribute::Int(groups as i64)),
        ];
        let of = ValueType { element: Element::Float, of_batch: true, dims: output.to_vec() };
        self.node(operator, &[input, weight, bias], attributes, of)
    }

    /// The dimensions of an image of so many channels.
    fn image(&mut self, operator: &str, input: Value, channels: usize) -> [usize; 3] {
        match self.dims(input)[..] {
            [found, height, width] if found == channels => [channels, height, width],
            ref other => {
                let problem =
                    format!("{operator}: expected an image of {channels} channels, found {other:?}");
                self.object(problem);
                [channels, 1, 1]
            }
        }
    }
}
