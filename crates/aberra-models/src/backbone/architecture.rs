//! The layers of EfficientNet-Lite0 up to block 10.

/// The first convolution, on pixels.
#[derive(Clone, Copy)]
pub(super) struct Stem {
    /// Kernel height and width.
    pub(super) kernel: usize,
    pub(super) stride: usize,
}

/// An inverted residual.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) inputs: usize,
    /// Channels after the expansion.
    pub(super) expanded: usize,
    /// Height and width of the depthwise kernel.
    pub(super) kernel: usize,
    /// Stride of the depthwise convolution.
    pub(super) stride: usize,
    pub(super) outputs: usize,
}

impl Block {
    /// Whether outputs have the shape of inputs, to be added to them.
    pub(super) fn keeps_shape(self) -> bool {
        self.stride == 1 && self.inputs == self.outputs
    }
}

pub(super) const STEM: Stem = Stem { kernel: 3, stride: 2 };

/// Blocks 0 to 10. Block 0 has no expansion of its own: the stem stands in its place.
pub(super) const BLOCKS: [Block; 11] = [
    block(3, 32, 3, 1, 16),
    block(16, 96, 3, 2, 24),
    block(24, 144, 3, 1, 24),
    block(24, 144, 5, 2, 40),
    block(40, 240, 5, 1, 40),
    block(40, 240, 3, 2, 80),
    block(80, 480, 3, 1, 80),
    block(80, 480, 3, 1, 80),
    block(80, 480, 5, 1, 112),
    block(112, 672, 5, 1, 112),
    block(112, 672, 5, 1, 112),
];

const fn block(inputs: usize, expanded: usize, kernel: usize, stride: usize, outputs: usize) -> Block {
    Block { inputs, expanded, kernel, stride, outputs }
}
