//! One image's story as a figure: the triple, the verdict, the evidence beside that of the calibration normals, and the
//! nearest training normals.

use aberra_image::Image;
use aberra_models::Shape;
use plotters::prelude::*;

use super::heatmap::colored;
use super::{FoundNormal, Story};
use crate::Result;
use crate::detector::Detector;
use crate::figure::{ANOMALOUS, Area, Drawn, FAINT, INK, NORMAL, figure, paint, write};
use crate::thumbnail::THUMBNAIL_PX;

const WIDTH: u32 = 1240;
/// Side of the triple's pictures.
const SIDE: i32 = 380;
const MARGIN: i32 = 30;
/// Where evidence begins, below the triple.
const EVIDENCE_TOP: i32 = MARGIN + 60 + SIDE + 120;
const ROW: i32 = 34;
/// Where the bars of the evidence begin, and how long a full one is.
const BAR_LEFT: i32 = 480;
const BAR_LENGTH: i32 = 340;
/// Side of a nearest normal's picture.
const NEAR_SIDE: i32 = 96;

/// Draws a story as a PNG: what the detector gives of it. `near` are its nearest training normals, with pictures where these
/// were found.
///
/// # Errors
/// A picture that cannot be drawn.
pub fn story_png(detector: &Detector, story: &Story, near: &[FoundNormal]) -> Result<Vec<u8>> {
    let verdict = &story.verdict;
    let Shape { height, width, .. } = verdict.shape;
    let picture = |pixels: Vec<f32>| {
        let channels = (pixels.len() / verdict.shape.area().max(1)).max(1);
        Image::from_pixels(pixels, height, width, channels)
    };
    let heat = verdict.map.as_deref().and_then(|map| {
        let heat = colored(map, detector.pixel_threshold());
        picture(heat.into_iter().map(|value| f32::from(value) / 255.0).collect())
    });
    let reconstruction = verdict.reconstruction().and_then(|pixels| picture(pixels.to_vec()));
    let pictures = [
        ("network input", picture(verdict.input.clone())),
        ("reconstruction", reconstruction),
        ("map", heat),
    ];
    let pictures =
        pictures.into_iter().filter_map(|(name, picture)| Some((name, picture?))).collect::<Vec<_>>();
    let rows = ROW * story.evidence.len() as i32;
    let thumbnails = (NEAR_SIDE + 34) * near.len().div_ceil(2) as i32;
    let height = EVIDENCE_TOP + 60 + rows.max(thumbnails) + MARGIN;
    figure(WIDTH, height as u32, |area| {
        for (position, (name, picture)) in pictures.iter().enumerate() {
            let left = MARGIN + position as i32 * (SIDE + 20);
            write(area, name, (left, MARGIN), 26.0)?;
            paint(area, picture, (left, MARGIN + 40), SIDE as u32)?;
        }
        headline(area, detector, story)?;
        evidence(area, story)?;
        match detector.reference() {
            Some(_) => nearest(area, near),
            None => Ok(()),
        }
    })
}

fn headline(area: &Area<'_>, detector: &Detector, story: &Story) -> Drawn {
    let verdict = &story.verdict;
    let top = MARGIN + 40 + SIDE + 26;
    let word = if verdict.anomalous { "\u{25b2} anomalous" } else { "\u{25cb} normal" };
    write(area, word, (MARGIN, top), 42.0)?;
    let marked = story.anomalous_share.map_or_else(String::new, |share| {
        format!("; {:.1} % of the image above the pixel threshold", share * 100.0)
    });
    let numbers = format!(
        "score {:.4} ({}), threshold {:.4}{}{marked}",
        verdict.score,
        detector.config().scorer,
        verdict.threshold,
        verdict.p_value.map_or_else(String::new, |p| format!(", p-value {p:.3}")),
    );
    write(area, &numbers, (MARGIN, top + 56), 24.0)
}

/// Bars of percentiles; those in the highest twentieth are outlined and marked.
fn evidence(area: &Area<'_>, story: &Story) -> Drawn {
    const UNUSUAL: f64 = 95.0;
    write(area, "evidence: percentile among the calibration normals", (MARGIN, EVIDENCE_TOP), 26.0)?;
    for (index, row) in story.evidence.iter().enumerate() {
        let top = EVIDENCE_TOP + 48 + index as i32 * ROW;
        write(area, &row.name.replace('_', " "), (MARGIN, top), 22.0)?;
        write(area, &short(row.value), (MARGIN + 340, top), 22.0)?;
        let Some(percentile) = row.percentile else { continue };
        let length = (percentile / 100.0 * f64::from(BAR_LENGTH)).round() as i32;
        let (color, mark) = if percentile >= UNUSUAL { (ANOMALOUS, "\u{25b2} ") } else { (NORMAL, "") };
        let whole = [(BAR_LEFT, top - 2), (BAR_LEFT + BAR_LENGTH, top + 20)];
        area.draw(&Rectangle::new(whole, FAINT.mix(0.25).filled()))?;
        area.draw(&Rectangle::new([(BAR_LEFT, top - 2), (BAR_LEFT + length, top + 20)], color.filled()))?;
        write(area, &format!("{mark}{percentile:.0}"), (BAR_LEFT + BAR_LENGTH + 10, top), 22.0)?;
    }
    let middle = BAR_LEFT + BAR_LENGTH / 2;
    let bottom = EVIDENCE_TOP + 48 + story.evidence.len() as i32 * ROW;
    area.draw(&PathElement::new([(middle, EVIDENCE_TOP + 44), (middle, bottom)], INK.mix(0.5)))?;
    Ok(())
}

fn nearest(area: &Area<'_>, near: &[FoundNormal]) -> Drawn {
    let left = BAR_LEFT + BAR_LENGTH + 110;
    write(area, "nearest training normals", (left, EVIDENCE_TOP), 24.0)?;
    for (index, near) in near.iter().enumerate() {
        let (column, row) = (index as i32 % 2, index as i32 / 2);
        let at = (left + column * (NEAR_SIDE + 50), EVIDENCE_TOP + 48 + row * (NEAR_SIDE + 34));
        let thumbnail = near.thumbnail.clone().and_then(|pixels| {
            let channels = (pixels.len() / (THUMBNAIL_PX * THUMBNAIL_PX)).max(1);
            Image::from_pixels(pixels, THUMBNAIL_PX, THUMBNAIL_PX, channels)
        });
        match thumbnail {
            Some(thumbnail) => paint(area, &thumbnail, at, NEAR_SIDE as u32)?,
            None => {
                let corner = (at.0 + NEAR_SIDE, at.1 + NEAR_SIDE);
                area.draw(&Rectangle::new([at, corner], FAINT.stroke_width(1)))?;
                write(area, "no picture", (at.0 + 4, at.1 + 38), 16.0)?;
            }
        }
        write(area, &format!("{:.2}", near.distance), (at.0, at.1 + NEAR_SIDE + 4), 20.0)?;
    }
    Ok(())
}

/// Four digits that count.
fn short(value: f64) -> String {
    let before_point = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    match () {
        () if !(-5.0..6.0).contains(&before_point) => format!("{value:.2e}"),
        () => format!("{value:.*}", (3.0 - before_point).max(0.0) as usize),
    }
}
