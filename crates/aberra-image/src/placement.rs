//! The mapping between a preprocessed image, which is a network input or several, and its image: error maps back to the
//! image, masks to the input.

use serde::Serialize;

use crate::Error;
use crate::error::Kind;
use crate::mask::fit_mask;
use crate::resize::{Area, Plane, resize};

/// Where in the image a preprocessed image came from: the square (or box) of the image, in image pixels, that it covers. It
/// may reach outside the image. Of it, only `content` was seen: the rest is black padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Image rows.
    pub image_height: usize,
    /// Image columns.
    pub image_width: usize,
    /// First row covered.
    pub top: i64,
    /// First column covered.
    pub left: i64,
    /// Rows covered.
    pub height: usize,
    /// Columns covered.
    pub width: usize,
    /// The part of the image within the covered square; what the foreground crop left.
    pub content: Region,
}

/// A box of an image, in whole pixels, within the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Region {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Placement {
    /// The whole image, neither cropped nor padded.
    pub fn whole(image_height: usize, image_width: usize) -> Self {
        let whole = Region { top: 0, left: 0, height: image_height, width: image_width };
        Self::of_region(image_height, image_width, whole, None)
    }

    /// A region of the image, padded around its centre to the proportions of `shape` (rows, columns) if there is one.
    pub(crate) fn of_region(
        image_height: usize,
        image_width: usize,
        content: Region,
        shape: Option<(usize, usize)>,
    ) -> Self {
        let (height, width) = match shape {
            None => (content.height, content.width),
            Some((rows, columns)) if content.width * rows >= content.height * columns => {
                ((content.width * rows).div_ceil(columns), content.width)
            }
            Some((rows, columns)) => (content.height, (content.height * columns).div_ceil(rows)),
        };
        Self {
            image_height,
            image_width,
            top: content.top as i64 - ((height - content.height) / 2) as i64,
            left: content.left as i64 - ((width - content.width) / 2) as i64,
            height,
            width,
            content,
        }
    }

    /// Share of the preprocessed image that is image rather than padding, above 0 to 1.
    pub fn image_share(&self) -> f32 {
        let content = self.content.height as f64 * self.content.width as f64;
        (content / (self.height as f64 * self.width as f64)) as f32
    }

    /// Resamples a map of the preprocessed image, `[rows, columns]`, to the image's own `[image_height, image_width]`:
    /// bilinear when enlarging, averaged when reducing; 0 where the network saw nothing (outside `content`).
    ///
    /// # Errors
    /// `map` is not `rows * columns` long, or this placement is not one that `Preprocessing::apply` made.
    pub fn restore(&self, map: &[f32], rows: usize, columns: usize) -> Result<Vec<f32>, Error> {
        self.check()?;
        if map.is_empty() || rows.checked_mul(columns) != Some(map.len()) {
            let message = format!("expected a map of {rows} x {columns} values, found {} values", map.len());
            return Err(Error::new(Kind::Pixels, message));
        }
        let (top, height) = span(self.offset_top(), self.content.height, self.height, rows);
        let (left, width) = span(self.offset_left(), self.content.width, self.width, columns);
        let plane = Plane::whole(map, rows, columns, 1);
        let area = Area { top, left, height, width };
        let content = resize(&plane, area, self.content.height, self.content.width)?;
        let mut restored = vec![0.0; self.image_height * self.image_width];
        for (y, row) in content.chunks_exact(self.content.width).enumerate() {
            let at = (self.content.top + y) * self.image_width + self.content.left;
            restored[at..at + row.len()].copy_from_slice(row);
        }
        Ok(restored)
    }

    /// Brings a mask, `[height, width]`, to the preprocessed image, `[rows, columns]`: true where more than half of a
    /// pixel's area is. A mask of another size than the image's is resampled to the image first (nearest pixel). Padding
    /// is false.
    ///
    /// # Errors
    /// `mask` is not `height * width` long or is empty, has other proportions than the image, or this placement is not one that `Preprocessing::apply` made.
    pub fn project_mask(
        &self,
        mask: &[bool],
        height: usize,
        width: usize,
        (rows, columns): (usize, usize),
    ) -> Result<Vec<bool>, Error> {
        self.check()?;
        let mask = fit_mask(mask, height, width, self.image_height, self.image_width)?;
        let content = &self.content;
        let in_rows = shares(self.offset_top(), content.height, self.height, rows);
        let in_columns = shares(self.offset_left(), content.width, self.width, columns);
        let mut area = vec![0.0_f64; rows * columns];
        for (y, row_shares) in in_rows.iter().enumerate() {
            let at = (content.top + y) * self.image_width + content.left;
            for (column_shares, _) in
                in_columns.iter().zip(&mask[at..at + content.width]).filter(|(_, set)| **set)
            {
                for &(input_y, row_share) in row_shares {
                    for &(input_x, column_share) in column_shares {
                        area[input_y * columns + input_x] += row_share * column_share;
                    }
                }
            }
        }
        // A sum of shares that is one half but for rounding is not more than half.
        const ROUNDING: f64 = 1e-9;
        Ok(area.into_iter().map(|share| share > 0.5 + ROUNDING).collect())
    }

    /// Rows of padding above the content.
    pub(crate) fn offset_top(&self) -> usize {
        usize::try_from(self.content.top as i64 - self.top).unwrap_or(0)
    }

    /// Columns of padding left of the content.
    pub(crate) fn offset_left(&self) -> usize {
        usize::try_from(self.content.left as i64 - self.left).unwrap_or(0)
    }

    /// The fields are public; a placement made by hand may not fit together.
    fn check(&self) -> Result<(), Error> {
        let content = &self.content;
        let fits = content.height > 0
            && content.width > 0
            && content.top.checked_add(content.height).is_some_and(|end| end <= self.image_height)
            && content.left.checked_add(content.width).is_some_and(|end| end <= self.image_width)
            && content.top as i64 >= self.top
            && content.left as i64 >= self.left
            && self.offset_top() + content.height <= self.height
            && self.offset_left() + content.width <= self.width;
        let message =
            || format!("expected a placement with its content within both image and square: {self:?}");
        if fits { Ok(()) } else { Err(Error::new(Kind::Pixels, message())) }
    }
}

/// Start and length, in input pixels, of `length` image pixels that begin `offset` into `covered`.
fn span(offset: usize, length: usize, covered: usize, size_px: usize) -> (f64, f64) {
    let start = offset as f64 * size_px as f64 / covered as f64;
    let span = length as f64 * size_px as f64 / covered as f64;
    (start, span.min(size_px as f64 - start))
}

/// For each of `length` image pixels that begin `offset` into `covered`: the input pixels it lies in, and which share
/// of each of these it fills.
fn shares(offset: usize, length: usize, covered: usize, size_px: usize) -> Vec<Vec<(usize, f64)>> {
    let scale = size_px as f64 / covered as f64;
    (0..length)
        .map(|index| {
            let start = (offset + index) as f64 * scale;
            let end = ((offset + index + 1) as f64 * scale).min(size_px as f64);
            (start as usize..(end.ceil() as usize).min(size_px))
                .map(|pixel| (pixel, end.min((pixel + 1) as f64) - start.max(pixel as f64)))
                .collect()
        })
        .collect()
}

/// Resamples the content to the square (or box) that its placement covers, as `rows` x `columns` pixels; padding has the
/// value `fill`.
///
/// Where there is padding, the side without it is reduced first: the padded box, which may be huge for a long thin image,
/// never exists as a whole.
pub(crate) fn resize_padded(
    content: &Plane<'_>,
    placement: &Placement,
    (rows, columns): (usize, usize),
    fill: f32,
) -> Result<Vec<f32>, Error> {
    let Plane { height, width, channels, .. } = *content;
    if (height, width) == (placement.height, placement.width) {
        return resize(content, Area::of(content), rows, columns);
    }
    let is_padded_above = placement.width == width;
    let (padded_rows, padded_columns) =
        if is_padded_above { (placement.height, columns) } else { (rows, placement.width) };
    let mut padded = vec![fill; padded_rows * padded_columns * channels];
    if is_padded_above {
        let strip = resize(content, Area::of(content), height, columns)?;
        let at = placement.offset_top() * columns * channels;
        padded[at..at + strip.len()].copy_from_slice(&strip);
    } else {
        let strip = resize(content, Area::of(content), rows, width)?;
        for (y, row) in strip.chunks_exact(width * channels).enumerate() {
            let at = (y * placement.width + placement.offset_left()) * channels;
            padded[at..at + row.len()].copy_from_slice(row);
        }
    }
    let padded = Plane::whole(&padded, padded_rows, padded_columns, channels);
    resize(&padded, Area::of(&padded), rows, columns)
}
