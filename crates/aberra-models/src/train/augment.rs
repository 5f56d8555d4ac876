//! Augmentation of training images: mirroring, small affine maps, gamma.

use rand::RngExt;

use super::Augmentation;
use crate::shape::Shape;

/// Writes a changed copy of `input`, `[height, width, channels]`, to `output`. Everything drawn comes from `random`,
/// always in the same number of draws. Outside the image is black.
pub(crate) fn augment(
    input: &[f32],
    shape: Shape,
    settings: &Augmentation,
    random: &mut impl rand::Rng,
    output: &mut [f32],
) {
    let mut symmetric = |bound: f64| bound * (2.0 * random.random::<f64>() - 1.0);
    let angle = symmetric(settings.rotation_degrees.to_radians());
    let scale = (1.0 + symmetric(settings.scale)) as f32;
    let (shift_x, shift_y) = (symmetric(settings.shift) as f32, symmetric(settings.shift) as f32);
    let gamma = (1.0 + symmetric(settings.gamma)) as f32;
    let mirror = |on: bool, draw: f64| if on && draw < 0.0 { -1.0_f32 } else { 1.0 };
    let mirror_x = mirror(settings.flip_horizontal, symmetric(1.0));
    let mirror_y = mirror(settings.flip_vertical, symmetric(1.0));

    let Shape { height, width, channels } = shape;
    let center = |side: usize| (side as f32 - 1.0) / 2.0;
    let (center_x, center_y) = (center(width), center(height));
    let (sin, cos) = (angle.sin() as f32 / scale, angle.cos() as f32 / scale);
    for y in 0..height {
        let dy = y as f32 - center_y - shift_y * height as f32;
        for x in 0..width {
            let dx = x as f32 - center_x - shift_x * width as f32;
            let from_x = center_x + mirror_x * (cos * dx + sin * dy);
            let from_y = center_y + mirror_y * (cos * dy - sin * dx);
            let at = (y * width + x) * channels;
            bilinear(input, shape, from_x, from_y, &mut output[at..at + channels]);
        }
    }
    if settings.gamma > 0.0 {
        // The black background stays black, and is large.
        for value in output.iter_mut().filter(|value| **value > 0.0) {
            *value = value.powf(gamma);
        }
    }
}

fn bilinear(input: &[f32], shape: Shape, x: f32, y: f32, output: &mut [f32]) {
    let (column, row) = (floor(x), floor(y));
    let (share_x, share_y) = (x - column as f32, y - row as f32);
    let (columns, rows) = (0..shape.width as i32, 0..shape.height as i32);
    // Where each corner lies in the input and how much it counts: not at all outside.
    let corner = |right: i32, below: i32, weight: f32| {
        let (column, row) = (column + right, row + below);
        if columns.contains(&column) && rows.contains(&row) {
            ((row as usize * shape.width + column as usize) * shape.channels, weight)
        } else {
            (0, 0.0)
        }
    };
    let corners = [
        corner(0, 0, (1.0 - share_x) * (1.0 - share_y)),
        corner(1, 0, share_x * (1.0 - share_y)),
        corner(0, 1, (1.0 - share_x) * share_y),
        corner(1, 1, share_x * share_y),
    ];
    for (channel, value) in output.iter_mut().enumerate() {
        *value = corners.iter().fold(0.0, |sum, (at, weight)| sum + weight * input[at + channel]);
    }
}

/// As `f32::floor`, which without newer instructions is a call.
fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from(whole as f32 > x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aberra_metrics::random::{Stream, generator};

    const OFF: Augmentation = Augmentation::OFF;

    fn ramp(size_px: usize) -> Vec<f32> {
        (0..size_px * size_px).map(|i| i as f32 / (size_px * size_px) as f32).collect()
    }

    fn apply(settings: &Augmentation, input: &[f32], index: u64) -> Vec<f32> {
        let mut output = vec![0.0; input.len()];
        let mut random = generator(1, Stream::Augmentation, index);
        augment(input, Shape::square(8, 1), settings, &mut random, &mut output);
        output
    }

    #[test]
    fn all_off_changes_nothing() {
        assert_eq!(apply(&OFF, &ramp(8), 0), ramp(8));
    }

    #[test]
    fn flips_mirror_exactly_about_every_second_time() {
        let settings = Augmentation { flip_horizontal: true, ..OFF };
        let input = ramp(8);
        let mirrored: Vec<f32> = input.chunks(8).flat_map(|row| row.iter().rev().copied()).collect();
        let results: Vec<Vec<f32>> = (0..40).map(|index| apply(&settings, &input, index)).collect();
        let flipped = results.iter().filter(|result| **result == mirrored).count();
        assert!(results.iter().all(|result| *result == mirrored || *result == input));
        assert!((8..=32).contains(&flipped), "{flipped} of 40 flipped");
    }

    #[test]
    fn values_stay_in_range() {
        for index in 0..20 {
            let result = apply(&Augmentation::default(), &ramp(8), index);
            assert!(result.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
}
