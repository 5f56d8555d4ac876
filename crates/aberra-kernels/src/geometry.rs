//! Sizes, stride and padding of a convolution, shared by the convolution and its transpose.

/// Stride and padding of a convolution, equal in height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Stride of the kernel, in pixels of the large side; at least 1.
    pub stride: usize,
    /// Zero padding on each border of the large side, in pixels.
    pub padding: usize,
}

impl Geometry {
    /// Output height or width of a convolution: `(size + 2 padding - kernel) / stride + 1`, rounded down.
    ///
    /// # Panics
    /// If the kernel is larger than the padded input, or the stride is 0.
    pub fn convolved(&self, size: usize, kernel: usize) -> usize {
        assert!(self.stride > 0, "expected a stride of at least 1, found 0");
        let padded = size + 2 * self.padding;
        assert!(
            kernel > 0 && kernel <= padded,
            "expected a kernel between 1 and the padded input's {padded} pixels, found {kernel}"
        );
        (padded - kernel) / self.stride + 1
    }

    /// Output height or width of a transposed convolution: `(size - 1) stride + kernel - 2 padding`.
    ///
    /// # Panics
    /// If nothing is left of the output, or the stride or the input is 0.
    pub fn transposed(&self, size: usize, kernel: usize) -> usize {
        assert!(
            self.stride > 0 && size > 0 && kernel > 0,
            "expected a stride, input and kernel of at least 1, found {}, {size} and {kernel}",
            self.stride
        );
        let full = (size - 1) * self.stride + kernel;
        assert!(
            full > 2 * self.padding,
            "expected a padding of less than half of {full} pixels, found {}",
            self.padding
        );
        full - 2 * self.padding
    }
}

/// The sizes of one convolution. *Large* is its input and *small* its output; for a transposed convolution they are
/// exchanged. Both are `[batch, height, width, channels]`; the weights are
/// `[kernel height, kernel width, large channels, small channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) large: ImageSize,
    pub(crate) small: ImageSize,
    pub(crate) kernel: [usize; 2],
    pub(crate) geometry: Geometry,
}

/// Height, width and channels of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ImageSize {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl ImageSize {
    /// Elements of one image.
    pub(crate) fn len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Pixels of one image.
    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl Sizes {
    /// From the shapes of the large side, the small side and the weights.
    ///
    /// # Panics
    /// If the channels or the batch disagree.
    pub(crate) fn new(large: [usize; 4], small: [usize; 4], kernel: [usize; 2], geometry: Geometry) -> Self {
        assert_eq!(large[0], small[0], "both sides of a convolution have the same batch");
        let size = |[_, height, width, channels]: [usize; 4]| ImageSize { height, width, channels };
        Self { batch: large[0], large: size(large), small: size(small), kernel, geometry }
    }

    /// Depth (inner dimension) of the product: kernel height x kernel width x large channels.
    pub(crate) fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.large.channels
    }
}

/// Zero padding before and after `size` pixels for an output of `size / stride` pixels, rounded up. What is odd goes
/// after: TensorFlow's padding "SAME".
pub(crate) fn same_padding(size: usize, kernel: usize, stride: usize) -> [usize; 2] {
    let reach = (size.div_ceil(stride).max(1) - 1) * stride + kernel;
    let padding = reach.saturating_sub(size);
    [padding / 2, padding - padding / 2]
}
