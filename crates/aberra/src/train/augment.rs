//! Changes to training images that keep them normal: mirror, small affine map, gamma.

use rand::RngExt;

use super::Augmentation;

/// Writes a changed copy of `input`, `[size_px, size_px, channels]`, to `output`. Everything drawn comes from `random`,
/// always in the same number of draws. Outside the image is black.
pub(super) fn augment(
    input: &[f32],
    size_px: usize,
    channels: usize,
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

    let center = (size_px as f32 - 1.0) / 2.0;
    let (sin, cos) = (angle.sin() as f32 / scale, angle.cos() as f32 / scale);
    let side = size_px as f32;
    for y in 0..size_px {
        let dy = y as f32 - center - shift_y * side;
        for x in 0..size_px {
            let dx = x as f32 - center - shift_x * side;
            let from_x = center + mirror_x * (cos * dx + sin * dy);
            let from_y = center + mirror_y * (cos * dy - sin * dx);
            let at = (y * size_px + x) * channels;
            bilinear(input, size_px, channels, from_x, from_y, &mut output[at..at + channels]);
        }
    }
    if settings.gamma > 0.0 {
        // The black background stays black, and is large.
        for value in output.iter_mut().filter(|value| **value > 0.0) {
            *value = value.powf(gamma);
        }
    }
}

fn bilinear(input: &[f32], size_px: usize, channels: usize, x: f32, y: f32, output: &mut [f32]) {
    let (column, row) = (floor(x), floor(y));
    let (share_x, share_y) = (x - column as f32, y - row as f32);
    let inside = 0..size_px as i32;
    // Where each corner lies in the input and how much it counts: not at all outside.
    let corner = |right: i32, below: i32, weight: f32| {
        let (column, row) = (column + right, row + below);
        if inside.contains(&column) && inside.contains(&row) {
            ((row as usize * size_px + column as usize) * channels, weight)
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
    use crate::random::{Stream, generator};

    const OFF: Augmentation = Augmentation {
        flip_horizontal: false,
        flip_vertical: false,
        rotation_degrees: 0.0,
        scale: 0.0,
        shift: 0.0,
        gamma: 0.0,
    };

    fn ramp(size_px: usize) -> Vec<f32> {
        (0..size_px * size_px).map(|i| i as f32 / (size_px * size_px) as f32).collect()
    }

    fn apply(settings: &Augmentation, input: &[f32], index: u64) -> Vec<f32> {
        let mut output = vec![0.0; input.len()];
        let mut random = generator(1, Stream::Augmentation, index);
        augment(input, 8, 1, settings, &mut random, &mut output);
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
