//! From tissue to image: bias field, slight blur, Rician noise (Gudbjartsson & Patz, 1995).

use rand::RngExt;

use rand_distr::{Distribution, StandardNormal};

use super::field::{between, lerp};
use super::tissue::Scene;
use crate::random::{Stream, generator};

/// What makes an image of signals: its bias field, blur and noise follow from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acquisition {
    pub(super) seed: u64,
    /// Number of the slice of a volume, which has noise of its own; 0 for a slice by itself.
    pub(super) slice: u64,
}

/// Bias field, blur and noise of `acquisition` on `signal`; 0 to 1.
pub(super) fn acquire(scene: &Scene, mut signal: Vec<f32>, acquisition: Acquisition) -> Vec<f32> {
    let size = scene.size;
    // Drawn from the phantom's own stream, so this generator belongs to it alone.
    let mut random = generator(acquisition.seed, Stream::Phantom, 0);
    let field: [f32; 5] = std::array::from_fn(|_| between(&mut random, -1.0, 1.0));
    let strength = between(&mut random, 0.02, 0.16);
    let blur = between(&mut random, 0.0, 0.22) * (size as f32 / 160.0).min(1.0);
    let gamma = between(&mut random, 0.9, 1.12);
    let deviation = between(&mut random, 0.003, 0.022);
    let grain = between(&mut random, 0.0, 0.2);

    for (row, line) in signal.chunks_exact_mut(size).enumerate() {
        let y = row as f32 / size as f32 * 2.0 - 1.0;
        for (column, value) in line.iter_mut().enumerate() {
            let x = column as f32 / size as f32 * 2.0 - 1.0;
            let bias =
                field[0] * x + field[1] * y + 0.7 * (field[2] * x * y + field[3] * x * x + field[4] * y * y);
            *value = value.max(0.0).powf(gamma) * (1.0 + strength * bias);
        }
    }
    binomial(&mut signal, size, blur);
    if acquisition.slice > 0 {
        random = generator(acquisition.seed, Stream::Phantom, acquisition.slice);
    }
    let mut noise: [Vec<f32>; 2] = std::array::from_fn(|_| {
        (0..size * size).map(|_| -> f32 { StandardNormal.sample(&mut random) }).collect()
    });
    // The noise of an interpolated image is a little coarser than its pixels.
    for part in &mut noise {
        binomial(part, size, grain);
    }
    let offset = random.random::<f32>() * 0.004;
    for ((value, a), b) in signal.iter_mut().zip(&noise[0]).zip(&noise[1]) {
        *value = ((*value + deviation * a).hypot(deviation * b) + offset).clamp(0.0, 1.0);
    }
    signal
}

/// `[share, 1 - 2 share, share]` along rows, then columns; edges repeated.
fn binomial(values: &mut [f32], size: usize, share: f32) {
    for line in values.chunks_exact_mut(size) {
        let mut before = line[0];
        for column in 0..size {
            let here = line[column];
            let after = line[(column + 1).min(size - 1)];
            line[column] = lerp(here, 0.5 * (before + after), 2.0 * share);
            before = here;
        }
    }
    let mut before = values[..size].to_vec();
    for row in 0..size {
        for (column, before) in before.iter_mut().enumerate() {
            let here = values[row * size + column];
            let after = values[(row + 1).min(size - 1) * size + column];
            values[row * size + column] = lerp(here, 0.5 * (*before + after), 2.0 * share);
            *before = here;
        }
    }
}
