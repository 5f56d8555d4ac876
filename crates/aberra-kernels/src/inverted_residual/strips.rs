//! The kernel of inverted residuals: expansion, depthwise convolution and projection are computed together so that the
//! wide tensors between them stay in the cache.
//!
//! An image is worked on in strips of output lines. In a strip, [`LANES`] channels at a time are expanded into a *plane*
//! and filtered; then the filtered channels of the strip are projected. Lines of a plane that the next strip needs, too,
//! are kept. Where there are fewer images than threads, images are divided into *bands* of lines, whose first strips
//! expand the lines that they share with their neighbours again. Every number is one chain of operations wherever it is
//! computed, so results depend neither on strips and bands nor on the batch.

use crate::epilogue::Epilogue;
use crate::geometry::{ImageSize, same_padding};
use crate::operand::Single;
use crate::pool;
use crate::product::{PanelView, Product, RowBlocks};
use crate::scratch::at_least;
use crate::signal::Signal;
use crate::tile::{LANES, Runs, Taps, filter_line};
use crate::wide::wide;
use crate::window::{Region, copy_window};
use rayon::prelude::*;

/// Elements of a plane: 128 KiB, for the L2 cache beside the filtered strip.
const PLANE_ELEMENTS: usize = 32 * 1024;
/// Elements of a filtered strip: 512 KiB.
const STRIP_ELEMENTS: usize = 128 * 1024;

/// One of the three convolutions of an inverted residual.
#[derive(Clone, Copy)]
pub(crate) struct Layer<'a> {
    /// `[panels][kernel height][kernel width x inputs][LANES]`
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    /// Kernel height and width.
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: usize,
}

/// An inverted residual for images of one size.
pub(crate) struct Block<'a> {
    pub(crate) input: ImageSize,
    pub(crate) expansion: Layer<'a>,
    pub(crate) depthwise: Layer<'a>,
    pub(crate) projection: Layer<'a>,
    /// Whether the input is added to the output.
    pub(crate) is_residual: bool,
}

impl Block<'_> {
    /// The size of an output image.
    pub(crate) fn output(&self) -> ImageSize {
        let small = self.depthwise.convolved(self.expansion.convolved(self.input));
        ImageSize { channels: self.projection.bias.len(), ..small }
    }
}

impl Layer<'_> {
    /// The size of the output for an input of a size.
    fn convolved(&self, size: ImageSize) -> ImageSize {
        ImageSize {
            height: size.height.div_ceil(self.stride),
            width: size.width.div_ceil(self.stride),
            channels: self.bias.len(),
        }
    }

    /// Zero padding above and to the left of an input.
    fn padding(&self, size: ImageSize) -> [usize; 2] {
        [(size.height, self.kernel[0]), (size.width, self.kernel[1])]
            .map(|(pixels, kernel)| same_padding(pixels, kernel, self.stride)[0])
    }

    /// The bias with zeros for the padding of the last panel.
    fn padded_bias(&self) -> Vec<f32> {
        let mut bias = self.bias.to_vec();
        bias.resize(bias.len().next_multiple_of(LANES), 0.0);
        bias
    }
}

/// The outputs of a block for images `[batch][height][width][channels]`.
pub(crate) fn forward(input: &[f32], block: &Block<'_>) -> Vec<f32> {
    let hidden = block.expansion.convolved(block.input);
    let output = block.output();
    let batch = input.len() / block.input.len().max(1);
    let mut result = pool::take(batch * output.len());
    if result.is_empty() {
        return result;
    }
    let bands = rayon::current_num_threads().div_ceil(batch);
    let lines = output.height.div_ceil(bands);
    let plan = Plan::new(block, hidden, output, lines);
    let line = output.width * output.channels;
    let images = result.par_chunks_mut(output.len()).zip(input.par_chunks(block.input.len()));
    images.for_each(|(result, input)| {
        result.par_chunks_mut(lines * line).enumerate().for_each(|(band, result)| {
            Band::new(&plan, input).write(band * lines, result);
        });
    });
    result
}

/// What all bands share.
struct Plan<'a> {
    block: &'a Block<'a>,
    hidden: ImageSize,
    output: ImageSize,
    /// Output lines of a strip.
    strip: usize,
    /// Width of a plane in pixels: that of the expanded image and its padding.
    width: usize,
    /// Groups of [`LANES`] expanded channels.
    groups: usize,
    expansion_bias: Vec<f32>,
    depthwise_bias: Vec<f32>,
}

impl<'a> Plan<'a> {
    fn new(block: &'a Block<'a>, hidden: ImageSize, output: ImageSize, band: usize) -> Self {
        let Layer { kernel, stride, .. } = block.depthwise;
        let width = (output.width - 1) * stride + kernel[1];
        let groups = hidden.channels.div_ceil(LANES);
        let by_plane = (PLANE_ELEMENTS / (width * LANES)).saturating_sub(kernel[0] - stride) / stride;
        let by_strip = STRIP_ELEMENTS / (output.width * groups * LANES);
        Self {
            block,
            hidden,
            output,
            strip: by_plane.min(by_strip).clamp(1, band),
            width,
            groups,
            expansion_bias: block.expansion.padded_bias(),
            depthwise_bias: block.depthwise.padded_bias(),
        }
    }

    /// Lines of a plane that gives `strip` output lines.
    fn plane_lines(&self, strip: usize) -> usize {
        (strip - 1) * self.block.depthwise.stride + self.block.depthwise.kernel[0]
    }

    /// Lines of a plane that the next strip needs, too.
    fn shared_lines(&self) -> usize {
        self.block.depthwise.kernel[0] - self.block.depthwise.stride
    }
}

/// The work on a band of an image, and its buffers.
struct Band<'a> {
    plan: &'a Plan<'a>,
    input: &'a [f32],
    /// Expanded channels of one group, `[lines][width][LANES]`.
    plane: Lines,
    /// The last lines of every group's plane, for the next strip.
    kept: Lines,
    /// Filtered channels, `[groups][lines][output width][LANES]`.
    filtered: Lines,
    window: Vec<f32>,
    sums: Vec<f32>,
}

impl<'a> Band<'a> {
    fn new(plan: &'a Plan<'a>, input: &'a [f32]) -> Self {
        let kept = if plan.strip < plan.output.height { plan.groups * plan.shared_lines() } else { 0 };
        Self {
            plan,
            input,
            plane: Lines::new(plan.plane_lines(plan.strip) * plan.width),
            kept: Lines::new(kept * plan.width),
            filtered: Lines::new(plan.groups * plan.strip * plan.output.width),
            window: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Writes the output lines from line `top` on.
    fn write(mut self, top: usize, output: &mut [f32]) {
        let line = self.plan.output.width * self.plan.output.channels;
        let lines = output.len() / line;
        for (number, output) in output.chunks_mut(self.plan.strip * line).enumerate() {
            let first = number * self.plan.strip;
            let strip = output.len() / line;
            self.filter(top + first, strip, first > 0, first + strip < lines);
            self.project(strip, output);
            if self.plan.block.is_residual {
                let begin = (top + first) * line;
                add(output, &self.input[begin..begin + output.len()]);
            }
        }
    }

    /// Expands and filters the channels of a strip.
    fn filter(&mut self, top: usize, strip: usize, has_kept: bool, keeps: bool) {
        let Plan { block, hidden, width, .. } = *self.plan;
        let Layer { kernel, stride, .. } = block.depthwise;
        let [above, left] = block.depthwise.padding(hidden);
        let lines = self.plan.plane_lines(strip);
        let shared = if has_kept { self.plan.shared_lines() } else { 0 };
        // Lines of the expanded image that have to be computed, and where they begin in the plane.
        let first = (top * stride + shared).saturating_sub(above);
        let last = (top * stride + lines - above).min(hidden.height).max(first);
        let offset = (first + above - top * stride) * width + left;
        let rows = Rows::new(block, self.input, first..last, hidden, &mut self.window);
        let places: Vec<usize> = (0..last - first)
            .flat_map(|y| (0..hidden.width).map(move |x| (offset + y * width + x) * LANES))
            .collect();
        let plane = &mut self.plane.chunks_mut()[..lines * width];
        // Padding is not written to below.
        plane.as_flattened_mut().fill(0.0);
        let filtered = self.filtered.chunks_mut().chunks_exact_mut(strip * self.plan.output.width);
        for (group, filtered) in (0..self.plan.groups).zip(filtered) {
            let kept =
                group * self.plan.shared_lines() * width..(group + 1) * self.plan.shared_lines() * width;
            if has_kept {
                plane[..shared * width].copy_from_slice(&self.kept.chunks_mut()[kept.clone()]);
            }
            let depth = rows.depth * LANES;
            let product = Product::<f32> {
                values: rows.values,
                starts: &rows.starts,
                rows: &rows.blocks,
                panels: PanelView {
                    values: &block.expansion.weight[group * depth..(group + 1) * depth],
                    depth: rows.depth,
                    columns: LANES,
                },
                bias: Some(&self.plan.expansion_bias[group * LANES..(group + 1) * LANES]),
                epilogue: Epilogue::Relu6,
            };
            product.write_to(plane.as_flattened_mut(), &places, &mut self.sums);
            let taps = Taps {
                kernel,
                stride,
                line: width,
                weight: &block.depthwise.weight.as_chunks().0[group * kernel[0] * kernel[1]..]
                    [..kernel[0] * kernel[1]],
                bias: &self.plan.depthwise_bias.as_chunks().0[group],
                epilogue: Epilogue::Relu6,
            };
            for (y, output) in filtered.chunks_exact_mut(self.plan.output.width).enumerate() {
                filter_line(&plane[y * stride * width..], taps, output);
            }
            if keeps {
                let begin = (lines - self.plan.shared_lines()) * width;
                self.kept.chunks_mut()[kept].copy_from_slice(&plane[begin..]);
            }
        }
    }

    /// Projects the filtered channels of a strip.
    fn project(&mut self, strip: usize, output: &mut [f32]) {
        let Plan { block, groups, output: size, .. } = *self.plan;
        let pixels = strip * size.width;
        let runs = Runs { count: groups, length: LANES, stride: pixels * LANES, step: 1 };
        let starts: Vec<usize> = (0..pixels).map(|pixel| pixel * LANES).collect();
        let places: Vec<usize> = (0..pixels).map(|pixel| pixel * size.channels).collect();
        let product = Product::<f32> {
            values: self.filtered.chunks_mut().as_flattened(),
            starts: &starts,
            rows: &RowBlocks::new(runs),
            panels: PanelView {
                values: block.projection.weight,
                depth: groups * LANES,
                columns: size.channels,
            },
            bias: Some(block.projection.bias),
            epilogue: Epilogue::Identity,
        };
        product.write_to(output, &places, &mut self.sums);
    }
}

/// The left operand of an expansion: the pixels that a strip needs, each with those under the kernel.
struct Rows<'a> {
    values: &'a [f32],
    starts: Vec<usize>,
    blocks: RowBlocks,
    depth: usize,
}

impl<'a> Rows<'a> {
    /// For some lines of the expanded image. An expansion of single pixels reads its input in place.
    fn new(
        block: &Block<'_>,
        input: &'a [f32],
        lines: std::ops::Range<usize>,
        hidden: ImageSize,
        window: &'a mut Vec<f32>,
    ) -> Self {
        let Layer { kernel, stride, .. } = block.expansion;
        let channels = block.input.channels;
        if kernel == [1, 1] && stride == 1 {
            let pixels = lines.start * hidden.width..lines.end * hidden.width;
            return Self {
                values: input,
                starts: pixels.map(|pixel| pixel * channels).collect(),
                blocks: RowBlocks::new(Runs::one(channels)),
                depth: channels,
            };
        }
        let [above, left] = block.expansion.padding(block.input);
        let width = (hidden.width - 1) * stride + kernel[1];
        let region = Region {
            top: (lines.start * stride) as isize - above as isize,
            left: -(left as isize),
            height: (lines.len().max(1) - 1) * stride + kernel[0],
            width,
        };
        let runs = Runs { count: kernel[0], stride: width * channels, ..Runs::one(kernel[1] * channels) };
        Self {
            values: copy_window::<Single>(Signal::plain(input), block.input, region, window),
            starts: (0..lines.len())
                .flat_map(|y| (0..hidden.width).map(move |x| (y * stride * width + x * stride) * channels))
                .collect(),
            blocks: RowBlocks::new(runs),
            depth: runs.depth(),
        }
    }
}

/// A buffer of pixels of [`LANES`] channels that begins at a cache line, because a vector that reaches into the next line
/// takes two loads.
struct Lines {
    buffer: Vec<f32>,
    pixels: usize,
}

impl Lines {
    fn new(pixels: usize) -> Self {
        Self { buffer: pool::take((pixels + 1) * LANES), pixels }
    }

    fn chunks_mut(&mut self) -> &mut [[f32; LANES]] {
        let skipped = self.buffer.as_ptr().align_offset(LANES * size_of::<f32>()).min(LANES);
        let length = self.pixels * LANES;
        at_least(&mut self.buffer, length + LANES)[skipped..skipped + length].as_chunks_mut().0
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.buffer));
    }
}

wide! {
    fn add(sums: &mut [f32], values: &[f32]) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
}
