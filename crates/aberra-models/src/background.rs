//! What of a network input is background: black by preprocessing, or flat and bright around the objects of all normals.

use aberra_metrics::Result;

use crate::graph::{Graph, Value};
use crate::inputs::Inputs;
use crate::shape::Shape;
use crate::tensors::{Tensors, Weight, take};

/// Training inputs that are looked at, evenly spread.
const LOOKED_AT: usize = 64;
/// Share of them that must have a bright background.
const LEAST_INPUTS: f64 = 0.9;
/// A border above this share of the brightest part is not dark.
const DARKEST_SHARE: f32 = 0.35;
/// The border is flat within this share of the brightest part ...
const FLAT: f32 = 0.12;
/// ... when at least this share of it is.
const LEAST_FLAT: f64 = 0.9;
/// Least share of the inner part that differs from the border: an object. A texture differs inside no more than at the border, so it
/// must be that many times the border's share besides.
const LEAST_OBJECT: f64 = 0.02;
const LEAST_CONTRAST: f64 = 3.0;
/// Part of the border's differences from the background that the tolerance covers, and the tolerance's bounds.
const COVERED: f64 = 0.98;
const TOLERANCES: std::ops::RangeInclusive<f32> = 0.05..=0.15;

const NAME: &str = "background";

/// A grey value, and how far from it a pixel is still background.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Background {
    level: f32,
    tolerance: f32,
}

impl Background {
    /// What preprocessing leaves black.
    pub(crate) const BLACK: Self = Self { level: 0.0, tolerance: 0.05 };

    /// That of normals: bright, where nearly all have a flat bright border and an object inside it, and black otherwise.
    ///
    /// # Errors
    /// Inputs that cannot be read.
    pub(crate) fn of(inputs: &Inputs<'_>) -> Result<Self> {
        let step = inputs.len().div_ceil(LOOKED_AT).max(1);
        let (mut rims, mut looked_at) = (Vec::new(), 0);
        for input in (0..inputs.len()).step_by(step) {
            looked_at += 1;
            let grey = inputs.shape().grey(&inputs.get(input)?);
            rims.extend(bright_rim(&grey, inputs.shape()));
        }
        if (rims.len() as f64) < LEAST_INPUTS * looked_at as f64 || rims.is_empty() {
            return Ok(Self::BLACK);
        }
        let mut levels: Vec<f32> = rims.iter().map(|rim| quantile(&mut rim.clone(), 0.5)).collect();
        let level = quantile(&mut levels, 0.5);
        let mut differences: Vec<f32> = rims.iter().flatten().map(|value| (value - level).abs()).collect();
        let tolerance = quantile(&mut differences, COVERED).clamp(*TOLERANCES.start(), *TOLERANCES.end());
        Ok(Self { level, tolerance })
    }

    /// Whether a pixel of this grey value is none of it.
    pub(crate) fn is_left_by(self, grey: f32) -> bool {
        (grey - self.level).abs() > self.tolerance
    }

    /// [`is_left_by`](Self::is_left_by) of grey values in a graph.
    pub(crate) fn is_left_by_graph(self, graph: &mut Graph, grey: Value) -> Value {
        let mut difference = grey;
        if self.level > 0.0 {
            let level = graph.constant(&[], &[self.level]);
            difference = graph.subtract(grey, level);
            difference = graph.abs(difference);
        }
        let tolerance = graph.constant(&[], &[self.tolerance]);
        graph.greater(difference, tolerance)
    }

    /// That of a model's tensors; black where they have none.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub(crate) fn read(tensors: &mut Tensors) -> Result<Self> {
        if !tensors.contains_key(NAME) {
            return Ok(Self::BLACK);
        }
        let values = take(tensors, NAME, &[2])?;
        Ok(Self { level: values[0], tolerance: values[1] })
    }

    pub(crate) fn write(self, tensors: &mut Tensors) {
        if self != Self::BLACK {
            let weight = Weight { shape: vec![2], values: vec![self.level, self.tolerance] };
            tensors.insert(NAME.to_owned(), weight);
        }
    }
}

/// The border's pixels where it is bright and flat around something; `None` where it is not.
fn bright_rim(grey: &[f32], shape: Shape) -> Option<Vec<f32>> {
    let Shape { height, width, .. } = shape;
    let band = (height.min(width) / 16).max(2);
    let is_rim = |at: usize| {
        let (row, column) = (at / width, at % width);
        row.min(column).min(height - 1 - row).min(width - 1 - column) < band
    };
    let rim: Vec<f32> = (0..grey.len()).filter(|&at| is_rim(at)).map(|at| grey[at]).collect();
    let inside = (0..grey.len()).filter(|&at| !is_rim(at)).map(|at| grey[at]);
    let (brightest, level) = (quantile(&mut grey.to_vec(), 0.99), quantile(&mut rim.clone(), 0.5));
    let differs = |value: f32| (value - level).abs() > FLAT * brightest;
    let outside = rim.iter().filter(|value| differs(**value)).count() as f64 / rim.len() as f64;
    let count = (grey.len() - rim.len()).max(1) as f64;
    let object = inside.filter(|&value| differs(value)).count() as f64 / count;
    (level > DARKEST_SHARE * brightest
        && outside <= 1.0 - LEAST_FLAT
        && object >= LEAST_OBJECT + LEAST_CONTRAST * outside)
        .then_some(rim)
}

/// The value below which a share of `values` lies; they lose their order.
fn quantile(values: &mut [f32], share: f64) -> f32 {
    let at = (share * values.len().saturating_sub(1) as f64) as usize;
    if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(at, f32::total_cmp).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { height: 64, width: 64, channels: 1 };

    /// Inputs of a grey value around a disc of another, both with grain.
    fn discs(around: f32, disc: f32, radius: f32) -> Vec<Vec<f32>> {
        let pixel = |image: usize, at: usize| {
            let grain = ((at * 7919 + image * 31) % 101) as f32 / 101.0 * 0.04 - 0.02;
            let away = ((at % 64) as f32 - 32.0).hypot((at / 64) as f32 - 30.0);
            grain + if away < radius { disc } else { around }
        };
        (0..10).map(|image| (0..64 * 64).map(|at| pixel(image, at)).collect()).collect()
    }

    fn found(images: &[Vec<f32>]) -> Background {
        Background::of(&Inputs::of_pixels(SHAPE, images).unwrap()).unwrap()
    }

    #[test]
    fn bright_backgrounds_are_found() {
        for disc in [0.3, 0.98] {
            let background = found(&discs(0.75, disc, 15.0));
            assert!((background.level - 0.75).abs() < 0.01, "{background:?}");
            assert!(background.is_left_by(disc) && !background.is_left_by(0.77));
            let mut tensors = Tensors::new();
            background.write(&mut tensors);
            assert_eq!(Background::read(&mut tensors).unwrap(), background);
            assert!(tensors.is_empty());
        }
    }

    #[test]
    fn dark_ones_textures_and_some_of_many_are_not() {
        assert_eq!(found(&discs(0.02, 0.9, 15.0)), Background::BLACK);
        assert_eq!(found(&discs(0.75, 0.75, 15.0)), Background::BLACK);
        // Blotches everywhere, at the border as inside.
        let blotch = |image: usize, at: usize| {
            if (at / 5 + at / 320 * 3 + image).is_multiple_of(25) { 0.4 } else { 0.8 }
        };
        let texture: Vec<Vec<f32>> =
            (0..10).map(|image| (0..64 * 64).map(|at| blotch(image, at)).collect()).collect();
        assert_eq!(found(&texture), Background::BLACK);
        let mut mixed = discs(0.75, 0.3, 15.0);
        mixed[0].fill(0.5);
        mixed[5] = discs(0.02, 0.9, 15.0).remove(0);
        assert_eq!(found(&mixed), Background::BLACK);
        let mut tensors = Tensors::new();
        Background::BLACK.write(&mut tensors);
        assert!(tensors.is_empty());
        tensors.insert(NAME.to_owned(), Weight { shape: vec![1], values: vec![0.5] });
        assert!(Background::read(&mut tensors).is_err());
    }
}
