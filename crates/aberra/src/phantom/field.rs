//! Noise, distances and soft edges: what the drawings are made of.

use rand::{Rng, RngExt};

const LATTICE: usize = 32;

/// Band-limited noise: gradient noise on a wrapping lattice (Perlin, 1985; with the smoother fade of 2002).
#[derive(Clone, Debug)]
pub(super) struct Noise {
    gradients: Vec<[f32; 2]>,
}

impl Noise {
    pub(super) fn draw(random: &mut impl Rng) -> Self {
        let gradients = (0..LATTICE * LATTICE)
            .map(|_| {
                let (sine, cosine) = (random.random::<f32>() * std::f32::consts::TAU).sin_cos();
                [cosine, sine]
            })
            .collect();
        Self { gradients }
    }

    /// About -1 to 1, with one lattice cell per unit; repeats every 32 units.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        // A cast and a comparison: rounding down is a library call on older processors.
        let down = |x: f32| x as i32 - i32::from(x < 0.0);
        let (column, row) = (down(x), down(y));
        let (fx, fy) = (x - column as f32, y - row as f32);
        let wrap = |cell: i32| cell as usize & (LATTICE - 1);
        let (left, right) = (wrap(column), wrap(column + 1));
        let (top, bottom) = (wrap(row) * LATTICE, wrap(row + 1) * LATTICE);
        let dot = |cell: usize, x: f32, y: f32| self.gradients[cell][0] * x + self.gradients[cell][1] * y;
        let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let (wx, wy) = (fade(fx), fade(fy));
        let upper = lerp(dot(top + left, fx, fy), dot(top + right, fx - 1.0, fy), wx);
        let lower = lerp(dot(bottom + left, fx, fy - 1.0), dot(bottom + right, fx - 1.0, fy - 1.0), wx);
        lerp(upper, lower, wy) * 1.5
    }

    /// The unit vector of a cell of the lattice.
    pub(super) fn gradient(&self, column: i32, row: i32) -> [f32; 2] {
        let wrap = |cell: i32| cell as usize & (LATTICE - 1);
        self.gradients[wrap(row) * LATTICE + wrap(column)]
    }

    /// Two octaves, about -1 to 1.
    pub(super) fn rough(&self, x: f32, y: f32) -> f32 {
        (self.at(x, y) + 0.5 * self.at(2.03 * x + 7.3, 2.03 * y + 3.1)) / 1.3
    }
}

/// `a` at 0, `b` at 1.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Share of a pixel of width `pixel` that lies inside, from the signed distance to the edge (negative inside).
pub(super) fn inside(distance: f32, pixel: f32) -> f32 {
    (0.5 - distance / pixel).clamp(0.0, 1.0)
}

/// Share of a pixel covered by a line of half-width `half_width` whose middle is at `distance`.
pub(super) fn line(distance: f32, half_width: f32, pixel: f32) -> f32 {
    let covered = 0.5 + (half_width - distance) / pixel;
    covered.clamp(0.0, 1.0) * (2.0 * half_width / pixel).min(1.0)
}

/// A smaller-of-both that rounds the crease over a width `k`.
pub(super) fn smooth_min(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - h * h * k * 0.25
}

/// Signed distance to a capsule from `a` to `b` (`[u, v, radius]` each), whose radius changes along the way.
pub(super) fn capsule(point: [f32; 2], a: [f32; 3], b: [f32; 3]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let (px, py) = (point[0] - a[0], point[1] - a[1]);
    let t = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
    (px - t * dx).hypot(py - t * dy) - lerp(a[2], b[2], t)
}

/// Approximate signed distance to a tilted ellipse.
pub(super) fn ellipse(point: [f32; 2], centre: [f32; 2], radii: [f32; 2], tilt: f32) -> f32 {
    let (sine, cosine) = tilt.sin_cos();
    let (x, y) = (point[0] - centre[0], point[1] - centre[1]);
    let (x, y) = (x * cosine + y * sine, y * cosine - x * sine);
    let scaled = (x / radii[0]).hypot(y / radii[1]);
    let slope = (x / (radii[0] * radii[0])).hypot(y / (radii[1] * radii[1]));
    if slope < 1e-6 { -radii[0].min(radii[1]) } else { scaled * (scaled - 1.0) / slope }
}

/// Uniform between `low` and `high`.
pub(super) fn between(random: &mut impl Rng, low: f32, high: f32) -> f32 {
    lerp(low, high, random.random::<f32>())
}

/// Box blur of `[height = width = size]` by `radius` pixels, edges repeated; three of them are nearly a Gaussian.
pub(super) fn box_blur(values: &mut [f32], size: usize, radius: usize) {
    if radius == 0 || size == 0 {
        return;
    }
    let mut buffer = vec![0.0; size];
    let share = 1.0 / (2 * radius + 1) as f32;
    for vertical in [false, true] {
        for lane in 0..size {
            let at = |step: usize| if vertical { step * size + lane } else { lane * size + step };
            let mut sum: f64 =
                (0..=2 * radius).map(|k| f64::from(values[at(k.saturating_sub(radius).min(size - 1))])).sum();
            for (step, out) in buffer.iter_mut().enumerate() {
                *out = sum as f32 * share;
                sum += f64::from(values[at((step + radius + 1).min(size - 1))]);
                sum -= f64::from(values[at(step.saturating_sub(radius))]);
            }
            for (step, value) in buffer.iter().enumerate() {
                values[at(step)] = *value;
            }
        }
    }
}

/// Bilinear sample of `[size, size, channels]` at pixel coordinates, edges repeated.
pub(super) fn sample(values: &[f32], size: usize, channels: usize, channel: usize, x: f32, y: f32) -> f32 {
    let last = (size - 1) as f32;
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(size - 1), (top + 1).min(size - 1));
    let at = |column: usize, row: usize| values[(row * size + column) * channels + channel];
    let (fx, fy) = (x - left as f32, y - top as f32);
    lerp(lerp(at(left, top), at(right, top), fx), lerp(at(left, bottom), at(right, bottom), fx), fy)
}
