//! A sheet of triples: network input, reconstruction, map.

use aberra_image::{Color, encode_png};
use aberra_models::Shape;

use super::heatmap::colored;
use crate::detector::Verdict;
use crate::{Error, Result, of_image};

/// Pixels between the pictures of a triple.
const GAP_PX: usize = 2;
/// Pixels around a triple, in the colour of its verdict.
const FRAME_PX: usize = 3;
/// Pixels between triples.
const MARGIN_PX: usize = 6;
/// The sheet's background.
const PAPER: [u8; 3] = [255, 255, 255];
/// Around a triple that is called normal.
const NORMAL: [u8; 3] = [200, 200, 200];
/// Around a triple that is called anomalous: vermilion, which most colour-blind people distinguish from grey.
const ANOMALOUS: [u8; 3] = [213, 94, 0];

/// Triples of network input, reconstruction and heat map side by side, `columns` triples a row, as one PNG; in the order
/// given. A triple that is called anomalous has a vermilion frame, another a grey one. Every picture is enlarged
/// `enlargement` times. What the detector does not give of a triple leaves its place empty.
///
/// # Errors
/// No verdicts, a number of columns or an enlargement of 0, verdicts of different shapes, or a sheet of more than 2^28
/// pixels.
pub fn sheet_png(
    verdicts: &[&Verdict],
    pixel_threshold: f64,
    columns: usize,
    enlargement: usize,
) -> Result<Vec<u8>> {
    let (pixels, height, width) = sheet(verdicts, pixel_threshold, columns, enlargement)?;
    encode_png(&pixels, height, width, Color::Rgb).map_err(of_image)
}

/// Largest sheet, in pixels.
const MOST_PIXELS: usize = 1 << 28;

/// The sheet's pixels, its height and its width.
fn sheet(
    verdicts: &[&Verdict],
    pixel_threshold: f64,
    columns: usize,
    enlargement: usize,
) -> Result<(Vec<u8>, usize, usize)> {
    let Some(first) = verdicts.first() else {
        return Err(Error::settings("expected verdicts to draw, found none"));
    };
    let Shape { height: rows, width: columns_px, channels } = first.shape;
    if columns == 0 || enlargement == 0 || verdicts.iter().any(|verdict| !fits(verdict, first.shape)) {
        return Err(Error::settings(format!(
            "expected at least 1 column, an enlargement of at least 1 and verdicts of one network, found {columns} \
             columns and an enlargement of {enlargement}"
        )));
    }
    let columns = columns.min(verdicts.len());
    let cells = |cell: usize, count: usize| cell.checked_mul(count)?.checked_add(MARGIN_PX);
    let sides = columns_px.checked_mul(enlargement).zip(rows.checked_mul(enlargement));
    let sides = sides.and_then(|(side, side_down)| {
        let cell_width = side.checked_mul(3)?.checked_add(2 * GAP_PX + 2 * FRAME_PX + MARGIN_PX)?;
        let cell_height = side_down.checked_add(2 * FRAME_PX + MARGIN_PX)?;
        let (width, height) =
            (cells(cell_width, columns)?, cells(cell_height, verdicts.len().div_ceil(columns))?);
        (width.checked_mul(height)? <= MOST_PIXELS).then_some((side, cell_width, cell_height, width, height))
    });
    let Some((side, cell_width, cell_height, width, height)) = sides else {
        return Err(Error::settings(format!(
            "expected a sheet of at most {MOST_PIXELS} pixels, found more: draw fewer than {} verdicts, or enlarge less",
            verdicts.len()
        )));
    };
    let mut canvas = Canvas { pixels: PAPER.repeat(width * height), width };
    for (index, verdict) in verdicts.iter().enumerate() {
        let (left, top) =
            (MARGIN_PX + index % columns * cell_width, MARGIN_PX + index / columns * cell_height);
        let frame = if verdict.anomalous { ANOMALOUS } else { NORMAL };
        canvas.fill(left, top, cell_width - MARGIN_PX, cell_height - MARGIN_PX, frame);
        let map = verdict.map.as_deref().map(|map| colored(map, pixel_threshold));
        let reconstruction = verdict.reconstruction().map(|pixels| shown_bytes(pixels, channels));
        let pictures = [
            shown_bytes(&verdict.input, channels),
            reconstruction.unwrap_or_default(),
            map.unwrap_or_default(),
        ];
        for (position, picture) in pictures.iter().enumerate() {
            let left = left + FRAME_PX + position * (side + GAP_PX);
            canvas.draw(left, top + FRAME_PX, picture, columns_px, enlargement);
        }
    }
    Ok((canvas.pixels, height, width))
}

/// Whether a verdict's maps are those of a network input of this shape.
fn fits(verdict: &Verdict, shape: Shape) -> bool {
    verdict.shape == shape
        && verdict.map.as_ref().is_none_or(|map| map.len() == shape.area())
        && verdict.input.len() == shape.len()
        && verdict.reconstruction().is_none_or(|pixels| pixels.len() == shape.len())
}

/// Intensities 0 to 1 as bytes, three a pixel, of the channels that are shown.
fn shown_bytes(intensities: &[f32], channels: usize) -> Vec<u8> {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    let color = Color::showing(channels);
    let copies = if color == Color::Grey { 3 } else { 1 };
    color
        .show(intensities, channels)
        .iter()
        .flat_map(|&value| std::iter::repeat_n(byte(value), copies))
        .collect()
}

struct Canvas {
    pixels: Vec<u8>,
    width: usize,
}

impl Canvas {
    fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, color: [u8; 3]) {
        for row in top..top + height {
            let start = (row * self.width + left) * 3;
            for pixel in self.pixels[start..start + width * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&color);
            }
        }
    }

    /// Draws a picture of `columns` pixels a row, three bytes each, each pixel as a square of `enlargement`.
    fn draw(&mut self, left: usize, top: usize, picture: &[u8], columns: usize, enlargement: usize) {
        for (at, color) in picture.chunks_exact(3).enumerate() {
            let (row, column) = (at / columns, at % columns);
            let color = [color[0], color[1], color[2]];
            let corner = (left + column * enlargement, top + row * enlargement);
            self.fill(corner.0, corner.1, enlargement, enlargement, color);
        }
    }
}
