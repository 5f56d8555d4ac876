//! What decoding decided on a person's behalf, in plain words.

use std::fmt;

/// Something that a person would want to know about how a file became an image: what was read only in part, ignored or
/// changed. As text it is a sentence about one image without its name: "page 1 of 3 is read, the others are not".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Remark {
    /// The file has several pages of full resolution, of which one was read.
    Page {
        /// The page, from 1.
        page: u32,
        /// All pages of full resolution.
        of: u32,
    },
    /// The file is an animation, of which the first frame was read.
    Animation {
        /// All frames, where the file says how many.
        frames: u32,
    },
    /// The file begins with a reduced copy of the image, which was passed over.
    ReducedCopy,
    /// Alpha was 0 everywhere, and was ignored.
    AlphaIgnored,
    /// The last of four channels of an array was taken for alpha.
    ArrayWithAlpha,
    /// Some pixels were transparent, and became darker or black.
    Transparent,
    /// The file has further samples per pixel that are no colours, and were left out.
    ExtraSamples,
    /// The file asks for its values to be corrected by a curve or range, which was not done.
    NotCorrected,
    /// The file has several volumes, of which the first was read.
    Volume {
        /// All volumes.
        of: u64,
    },
    /// Some values were no numbers or infinite, and became the lowest of the volume.
    NotFinite,
    /// Some values were no numbers or infinite, and are taken as not measured.
    NotMeasured,
    /// More than half of the values were not measured: what is judged is mostly what lies around them.
    MostlyNotMeasured,
    /// A mask lay as the pixels of its image's file do, and was turned as the image was.
    MaskTurned,
    /// A mask has another size than its image, of the same proportions, and was resampled.
    MaskResampled,
    /// A mask without foreground.
    MaskEmpty,
    /// A mask that is foreground everywhere.
    MaskFull,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { page, of } => write!(f, "page {page} of {of} is read, the others are not"),
            Self::Animation { frames } => {
                write!(f, "an animation: frame 1 of {frames} is read, the others are not")
            }
            Self::ReducedCopy => {
                f.write_str("the page of full resolution is read, not the reduced copy before it")
            }
            Self::AlphaIgnored => f.write_str("alpha is 0 everywhere and ignored"),
            Self::ArrayWithAlpha => {
                f.write_str("four channels of an array are taken for red, green, blue and alpha")
            }
            Self::Transparent => f.write_str("transparent pixels are composited over black"),
            Self::ExtraSamples => {
                f.write_str("samples beyond the colours, not said to be alpha, are left out")
            }
            Self::NotCorrected => {
                f.write_str("a response curve or reference range in the file is not applied")
            }
            Self::Volume { of } => write!(f, "volume 1 of {of} is read, the others are not"),
            Self::NotFinite => {
                f.write_str("values that are not finite are replaced by the lowest of the volume")
            }
            Self::NotMeasured => {
                f.write_str("values that are not finite are taken as not measured (train --invalid nan)")
            }
            Self::MostlyNotMeasured => {
                f.write_str("more than half of the values were not measured, and are filled from the others")
            }
            Self::MaskTurned => {
                f.write_str("the mask lies as the file's pixels do and is turned as its image is")
            }
            Self::MaskResampled => f.write_str("the mask has another size than its image and is resampled"),
            Self::MaskEmpty => f.write_str("the mask of an anomaly is empty"),
            Self::MaskFull => f.write_str("the mask covers the whole image"),
        }
    }
}
