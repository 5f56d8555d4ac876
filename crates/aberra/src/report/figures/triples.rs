//! A sheet of triples: network input, reconstruction and map, with verdict and truth in words.

use aberra_image::{Image, Limits, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotters::prelude::*;

use crate::Result;
use crate::explain::heat_color;
use crate::figure::{Area, Drawn, INK, figure, paint, write};
use crate::wire::{ImageData, PicturesData, ReportData};

/// Triples on the sheet: with the highest scores, and normal ones by the verdict, nearest below the threshold.
const HIGHEST: usize = 6;
const NORMAL: usize = 4;
const COLUMNS: usize = 2;
/// Side of a picture.
const SIDE: u32 = 200;
const GAP: u32 = 6;
const CELL: (u32, u32) = (3 * SIDE + 2 * GAP + 40, SIDE + 70);

/// The sheet; `None` if no image is shown in full.
pub(super) fn triples<'a>(data: &'a ReportData) -> Result<Option<Vec<u8>>> {
    let mut shown: Vec<(&ImageData, &PicturesData)> =
        data.images.iter().filter_map(|image| Some((image, image.pictures.as_ref()?))).collect();
    shown.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    let highest = shown.iter().filter(|(image, _)| image.anomalous).take(HIGHEST);
    let normal = shown.iter().filter(|(image, _)| !image.anomalous).take(NORMAL);
    let drawn = |(image, pictures): &(&'a ImageData, &PicturesData)| {
        let map = pictures.error.as_deref().and_then(picture).map(|map| colored(&map, data));
        let reconstruction = pictures.reconstruction.as_deref().and_then(picture);
        Some((*image, [Some(picture(&pictures.input)?), reconstruction, map]))
    };
    let cells: Vec<(&ImageData, [Option<Image>; 3])> = highest.chain(normal).filter_map(drawn).collect();
    if cells.is_empty() {
        return Ok(None);
    }
    let columns = COLUMNS.min(cells.len());
    let rows = cells.len().div_ceil(columns);
    let (width, height) = (CELL.0 * columns as u32 + 20, CELL.1 * rows as u32 + 20);
    figure(width, height, |area| {
        for (index, (image, pictures)) in cells.iter().enumerate() {
            let left = 20 + CELL.0 * (index % columns) as u32;
            let top = 14 + CELL.1 * (index / columns) as u32;
            cell(area, (left as i32, top as i32), image, pictures)?;
        }
        Drawn::Ok(())
    })
    .map(Some)
}

/// The words above a triple: the verdict has a sign of its own, not a colour alone.
fn cell(area: &Area<'_>, (left, top): (i32, i32), image: &ImageData, pictures: &[Option<Image>; 3]) -> Drawn {
    let verdict = if image.anomalous { "\u{25b2} anomalous" } else { "\u{25cb} normal" };
    let truth = image.kind.as_deref().unwrap_or("normal");
    let text = format!("{verdict}, score {:.3}   (labelled {truth})", image.score);
    write(area, &text, (left, top), 24.0)?;
    for (position, picture) in pictures.iter().enumerate() {
        let at = (left + position as i32 * (SIDE + GAP) as i32, top + 34);
        if let Some(picture) = picture {
            paint(area, picture, at, SIDE)?;
        }
    }
    let frame = if image.anomalous { INK.stroke_width(4) } else { INK.mix(0.25).stroke_width(1) };
    let corner = (left + (3 * SIDE + 2 * GAP) as i32 + 2, top + 34 + SIDE as i32 + 2);
    area.draw(&Rectangle::new([(left - 3, top + 31), corner], frame))?;
    Ok(())
}

fn picture(address: &str) -> Option<Image> {
    let (_, base64) = address.split_once(";base64,")?;
    decode(&STANDARD.decode(base64).ok()?, &Limits::default()).ok()
}

/// Grey levels of the error scale in the colours of errors.
fn colored(errors: &Image, data: &ReportData) -> Image {
    let error = |grey: f32| f64::from(grey) * data.error_scale_max;
    let colors =
        errors.to_grey().into_iter().flat_map(|grey| heat_color(error(grey) as f32, data.pixel_threshold));
    let pixels = colors.map(|value| f32::from(value) / 255.0).collect();
    Image { pixels, channels: 3, ..errors.clone() }
}
