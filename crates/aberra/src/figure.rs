//! Drawing figures: a canvas that becomes a PNG, the font, and colours that colour-blind readers can distinguish.
//!
//! Everything drawn is distinguished by shape, dash or position as well as by colour.

use std::ops::Range;
use std::sync::Once;

use aberra_image::{Color, Image, encode_png};
use include_flate::flate;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::Color as _;

use crate::{Error, Result, of_image};

/// The canvas of a figure.
pub(crate) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// The area within axes.
pub(crate) type Chart<'a, 'b> =
    ChartContext<'a, BitMapBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
/// Drawing may fail.
pub(crate) type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Of normal images: blue of the palette of Okabe and Ito (2008).
pub(crate) const NORMAL: RGBColor = RGBColor(0, 114, 178);
/// Of anomalous images: its vermilion.
pub(crate) const ANOMALOUS: RGBColor = RGBColor(213, 94, 0);
/// Lines and words.
pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
/// For secondary elements.
pub(crate) const FAINT: RGBColor = RGBColor(150, 150, 150);
/// Letters of axes and captions.
pub(crate) const LETTERS_PX: f64 = 26.0;

// DejaVu Sans: a system may have no fonts. Its licence is next to it.
flate!(static FONT: [u8] from "fonts/DejaVuSans.ttf");
const FAMILY: &str = "aberra";

/// A figure of `width` x `height` pixels on white, as a PNG.
///
/// # Errors
/// Numbers that cannot be drawn.
pub(crate) fn figure(width: u32, height: u32, paint: impl FnOnce(&Area<'_>) -> Drawn) -> Result<Vec<u8>> {
    static FONT_IS_KNOWN: Once = Once::new();
    // A font that cannot be read leaves figures without words; a test looks for them.
    FONT_IS_KNOWN.call_once(|| drop(plotters::style::register_font(FAMILY, FontStyle::Normal, &FONT)));
    let mut pixels = vec![255; width as usize * height as usize * 3];
    let painted = {
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        paint(&area).and_then(|()| Ok(area.present()?)).map_err(|error| error.to_string())
    };
    painted.map_err(|error| Error::data(format!("the figure cannot be drawn: {error}")))?;
    encode_png(&pixels, height as usize, width as usize, Color::Rgb).map_err(of_image)
}

/// Letters of this height.
pub(crate) fn letters(height_px: f64) -> TextStyle<'static> {
    TextStyle::from((FAMILY, height_px).into_font()).color(&INK)
}

/// Writes a text with its upper left corner at `position`.
pub(crate) fn write(area: &Area<'_>, text: &str, position: (i32, i32), height_px: f64) -> Drawn {
    Ok(area.draw(&Text::new(text.to_owned(), position, letters(height_px)))?)
}

/// Paints an image into the middle of a square by nearest-neighbour scaling.
pub(crate) fn paint(area: &Area<'_>, picture: &Image, at: (i32, i32), side: u32) -> Drawn {
    let longer = picture.height.max(picture.width).max(1);
    let scaled = |length: usize| ((length * side as usize + longer / 2) / longer).max(1) as u32;
    let (height, width) = (scaled(picture.height), scaled(picture.width));
    let pixel = |x: u32, y: u32| {
        let row = (y as usize * picture.height / height as usize).min(picture.height - 1);
        let column = (x as usize * picture.width / width as usize).min(picture.width - 1);
        let start = (row * picture.width + column) * picture.channels;
        let shown = Color::showing(picture.channels).channels();
        [0, 1, 2].map(|channel| {
            let value = picture.pixels[start + channel.min(shown - 1)];
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    };
    let bytes = (0..height * width).flat_map(|index| pixel(index % width, index / width)).collect();
    let at = (at.0 + (side - width) as i32 / 2, at.1 + (side - height) as i32 / 2);
    if let Some(element) = BitMapElement::with_owned_buffer(at, (width, height), bytes) {
        area.draw(&element)?;
    }
    Ok(())
}

/// Axes with their names. A range of no width is widened.
pub(crate) fn axes<'a, 'b>(
    area: &'a Area<'b>,
    [x, y]: [Range<f64>; 2],
    [x_name, y_name]: [&str; 2],
) -> Drawn<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin(24)
        .x_label_area_size(74)
        .y_label_area_size(110)
        .build_cartesian_2d(widened(x), widened(y))?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_desc(x_name)
        .y_desc(y_name)
        .light_line_style(TRANSPARENT)
        .bold_line_style(INK.mix(0.1))
        .axis_style(INK)
        .label_style(letters(LETTERS_PX * 0.85))
        .axis_desc_style(letters(LETTERS_PX))
        .x_label_formatter(&|value| tick(*value))
        .y_label_formatter(&|value| tick(*value))
        .draw()?;
    Ok(chart)
}

/// Names of what is drawn, in a corner.
pub(crate) fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, corner: SeriesLabelPosition) -> Drawn {
    chart
        .configure_series_labels()
        .position(corner)
        .margin(16)
        .legend_area_size(44)
        .background_style(WHITE.mix(0.9))
        .border_style(INK.mix(0.3))
        .label_font(letters(LETTERS_PX * 0.85))
        .draw()?;
    Ok(())
}

/// The smallest range that holds all values, a twentieth wider on both sides; 0 to 1 without any.
pub(crate) fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = (high - low) * 0.05;
    low - margin..high + margin
}

fn widened(range: Range<f64>) -> Range<f64> {
    if range.end - range.start > 1e-12 * range.start.abs() {
        return range;
    }
    let margin = range.start.abs().max(1.0) * 0.5;
    range.start - margin..range.end + margin
}

/// A number at an axis.
fn tick(value: f64) -> String {
    let rounded = format!("{value:.4}");
    let text = rounded.trim_end_matches('0').trim_end_matches('.');
    if value.abs() >= 1e5 || (value != 0.0 && value.abs() < 1e-3) {
        format!("{value:.0e}")
    } else {
        minus(text)
    }
}

/// A true minus sign, and none before zero.
fn minus(text: &str) -> String {
    if text == "-0" { "0".to_owned() } else { text.replace('-', "\u{2212}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_drawn_without_fonts_of_the_system() {
        let dark = |text: &str| {
            let png = figure(200, 60, |area| write(area, text, (4, 4), 30.0)).unwrap();
            let image = aberra_image::decode(&png, &Default::default()).unwrap();
            image.pixels.iter().filter(|value| **value < 0.5).count()
        };
        assert_eq!(dark(""), 0);
        assert!(dark("AUROC") > dark("A") && dark("A") > 50);
    }

    #[test]
    fn ranges_hold_what_they_are_made_of() {
        assert_eq!(range(std::iter::empty()), 0.0..1.0);
        assert_eq!(widened(range([3.0].into_iter())), 1.5..4.5);
        assert_eq!([tick(0.25), tick(-2.0), tick(-0.0), tick(0.0)], ["0.25", "\u{2212}2", "0", "0"]);
    }
}
