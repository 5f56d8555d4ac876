//! An image -> the mask of another: which of its pixels are foreground, turned and resampled to fit.

use image::metadata::Orientation;

use crate::error::Kind;
use crate::turn::{swaps_sides, turn, upright};
use crate::{Error, Image, Remark};

/// A mask that fits its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittedMask {
    /// `[height, width]` of the image: true where it is anomalous.
    pub foreground: Vec<bool>,
    /// What was done to make it fit, and what is odd about it.
    pub remarks: Vec<Remark>,
}

impl Image {
    /// Which pixels of a mask are foreground, `[height, width]`. Of a lossless file those that are not 0 in every channel,
    /// whatever their values: labels 1 and 4 both count. Lossy compression makes values around 0, so there it is those whose
    /// grey value is above half of the largest.
    pub fn to_mask(&self) -> Vec<bool> {
        if !self.source.is_lossy {
            return self
                .pixels
                .chunks_exact(self.channels)
                .map(|pixel| pixel.iter().any(|&v| v != 0.0))
                .collect();
        }
        let grey = self.to_grey();
        let half = 0.5 * grey.iter().copied().fold(0.0, f32::max);
        grey.into_iter().map(|value| value > half).collect()
    }

    /// This image as the mask of one of `height` x `width` pixels whose file was turned by `orientation`
    /// ([`Source::orientation`](crate::Source)). A mask that lies as the file's pixels do, rather than upright, is turned as the
    /// image was, where its sides tell. Another size of the same proportions is resampled (nearest pixel).
    ///
    /// # Errors
    /// It has other proportions than the image.
    pub fn into_mask_of(self, height: usize, width: usize, orientation: u8) -> Result<FittedMask, Error> {
        let mut remarks = Vec::new();
        let turned = Orientation::from_exif(orientation).filter(|&orientation| swaps_sides(orientation));
        let mask = match turned {
            Some(orientation)
                if self.source.orientation <= 1
                    && !is_same_aspect((self.height, self.width), (height, width))
                    && is_same_aspect((self.width, self.height), (height, width)) =>
            {
                remarks.push(Remark::MaskTurned);
                self.turned(orientation)
            }
            _ => self,
        };
        let foreground = mask.to_mask();
        let fitted = fit_mask(&foreground, mask.height, mask.width, height, width)?;
        if (mask.height, mask.width) != (height, width) {
            remarks.push(Remark::MaskResampled);
        }
        let set = foreground.iter().filter(|&&set| set).count();
        if set == 0 {
            remarks.push(Remark::MaskEmpty);
        } else if set == foreground.len() {
            remarks.push(Remark::MaskFull);
        }
        Ok(FittedMask { foreground: fitted, remarks })
    }

    fn turned(self, orientation: Orientation) -> Self {
        let pixels = turn(self.pixels, (self.height, self.width), self.channels, orientation);
        let (height, width) = upright((self.height, self.width), orientation);
        Self { pixels, height, width, ..self }
    }
}

/// Resamples a mask, `[height, width]`, to an image's `[image_height, image_width]`, taking the nearest pixel.
///
/// # Errors
/// `mask` is not `height * width` long or is empty, or has other proportions than the image.
pub fn fit_mask(
    mask: &[bool],
    height: usize,
    width: usize,
    image_height: usize,
    image_width: usize,
) -> Result<Vec<bool>, Error> {
    if mask.is_empty() || height.checked_mul(width) != Some(mask.len()) {
        let message = format!("expected a mask of {height} x {width} values, found {} values", mask.len());
        return Err(Error::new(Kind::Pixels, message));
    }
    if (height, width) == (image_height, image_width) {
        return Ok(mask.to_vec());
    }
    if !is_same_aspect((height, width), (image_height, image_width)) {
        return Err(other_aspect((height, width), (image_height, image_width)));
    }
    // The centre of the target pixel falls into this source pixel.
    let nearest = |index: usize, from: usize, to: usize| (2 * index + 1) * from / (2 * to);
    let columns: Vec<usize> = (0..image_width).map(|x| nearest(x, width, image_width)).collect();
    let mut fitted = Vec::with_capacity(image_height * image_width);
    for y in 0..image_height {
        let row = &mask[nearest(y, height, image_height) * width..][..width];
        fitted.extend(columns.iter().map(|&x| row[x]));
    }
    Ok(fitted)
}

/// Whether two sizes (rows, columns) have the same proportions: one is the other scaled, up to rounding to whole pixels.
fn is_same_aspect(a: (usize, usize), b: (usize, usize)) -> bool {
    let (small, large) = if a.0 * a.1 <= b.0 * b.1 { (a, b) } else { (b, a) };
    let off = |rows: (usize, usize), columns: (usize, usize)| {
        let exact = columns.1 as f64 * rows.0 as f64 / rows.1.max(1) as f64;
        (columns.0 as f64 - exact).abs()
    };
    let (rows, columns) = ((small.0, large.0), (small.1, large.1));
    a == b || off(rows, columns) < 1.0 || off(columns, rows) < 1.0
}

/// The error for a mask of other proportions than its image's.
fn other_aspect(mask: (usize, usize), image: (usize, usize)) -> Error {
    let message = format!(
        "expected a mask of {} x {} pixels (width x height) as its image has, or of the same proportions, found {} x {}; \
         export the mask at the image's size",
        image.1, image.0, mask.1, mask.0
    );
    Error::new(Kind::Pixels, message)
}
