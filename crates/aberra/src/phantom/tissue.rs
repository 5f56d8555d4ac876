//! The tissues of a slice, pixel by pixel: skin to ventricles, with soft edges.

use super::anatomy::{Anatomy, Sequence};
use super::field::{capsule, ellipse, inside, lerp, line, smooth_min, smoothstep};
use super::skull_base;

/// A rendered slice before bias field, blur and noise.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) anatomy: Anatomy,
    pub(super) size: usize,
    /// Width of a pixel in head units.
    pub(super) pixel: f32,
    /// `[size, size]` signal, 0 to 1.
    pub(super) signal: Vec<f32>,

    /// `[size, size]` depth below the inner side of the skull in head units; negative outside the brain.
    pub(super) brain_depth: Vec<f32>,
}

impl Scene {
    /// Head coordinates of a pixel's middle.
    pub(super) fn head(&self, column: usize, row: usize) -> [f32; 2] {
        head(&self.anatomy, self.size, column, row)
    }
}

/// Renders `anatomy` at `[size, size]`.
pub(super) fn render(anatomy: Anatomy, size: usize) -> Scene {
    let pixel = 1.0 / (anatomy.scale * size as f32);
    let places: Vec<Place> = (0..size * size)
        .map(|at| {
            let [u, v] = head(&anatomy, size, at % size, at / size);
            Place::at(&anatomy, u, v)
        })
        .collect();
    // The distance to a fold is the noise divided by its slope.
    let distance = |at: usize, fold: fn(&Place) -> f32| {
        let (column, row) = (at % size, at / size);
        let value = |column: usize, row: usize| fold(&places[row * size + column]);
        let (left, right) = (column.saturating_sub(1), (column + 1).min(size - 1));
        let (top, bottom) = (row.saturating_sub(1), (row + 1).min(size - 1));
        let dx = (value(right, row) - value(left, row)) / (right - left) as f32;
        let dy = (value(column, bottom) - value(column, top)) / (bottom - top) as f32;
        fold(&places[at]).abs() / (dx.hypot(dy) / pixel).clamp(2.0, 30.0)
    };
    let signal = places
        .iter()
        .enumerate()
        .map(|(at, place)| {
            if place.brain_depth < -pixel {
                return outer_layers(&anatomy, place, pixel);
            }
            let lateral = distance(at, |place| place.lateral_fold);
            let medial = distance(at, |place| place.medial_fold);
            let brain = brain(&anatomy, place, lateral, medial, pixel);
            match inside(-place.brain_depth, pixel) {
                1.0 => brain,
                share => lerp(outer_layers(&anatomy, place, pixel), brain, share),
            }
        })
        .collect();

    let brain_depth = places.iter().map(|place| place.brain_depth).collect();
    Scene { size, pixel, signal, brain_depth, anatomy }
}

fn head(anatomy: &Anatomy, size: usize, column: usize, row: usize) -> [f32; 2] {
    let x = ((column as f32 + 0.5) / size as f32 - anatomy.centre[0]) / anatomy.scale;
    let y = ((row as f32 + 0.5) / size as f32 - anatomy.centre[1]) / anatomy.scale;
    let (sine, cosine) = anatomy.rotation.sin_cos();
    [x * cosine + y * sine, y * cosine - x * sine]
}

/// What is known of a pixel before its neighbours are looked at.
#[derive(Clone, Copy, Debug)]
struct Place {
    u: f32,
    v: f32,
    /// `u`, `v` moved a little by noise, so that no inner structure is a perfect shape.
    warped: [f32; 2],
    depth: f32,
    angle: f32,
    scalp: f32,
    skull: f32,
    brain_depth: f32,
    /// Negative in front of the brain, in slices that show the face.
    behind_face: f32,
    lateral_fold: f32,
    medial_fold: f32,
    /// How deep folds reach here.
    reach: f32,
    /// From the middle line.
    middle: f32,
}

impl Place {
    fn at(anatomy: &Anatomy, u: f32, v: f32) -> Self {
        let (depth, angle) = anatomy.depth(u, v);
        let mut place = Self {
            u,
            v,
            warped: [u, v],
            depth,
            angle,
            scalp: 0.0,
            skull: 0.0,
            brain_depth: depth,
            behind_face: 1.0,
            lateral_fold: 1.0,
            medial_fold: 1.0,
            reach: 0.0,
            middle: u,
        };
        if depth < -0.1 {
            return place;
        }
        let (sine, cosine) = angle.sin_cos();
        let around =
            |amount: f32, shift: f32| anatomy.noise.at(amount * sine + shift, amount * cosine + shift);
        place.scalp = anatomy.scalp_thickness
            * (1.0 + 0.55 * around(1.6, 4.5) + 0.15 * around(5.0, 8.5) - 0.2 * cosine);
        place.skull = anatomy.skull_thickness
            * (1.0 + 0.4 * around(2.2, 11.5) + 0.15 * around(6.0, 1.5) + 0.12 * cosine);
        place.brain_depth = depth - place.scalp - place.skull;
        if anatomy.level < skull_base::HIGHEST_LEVEL {
            place.behind_face = skull_base::behind_face(anatomy, u, v);
            place.brain_depth = place.brain_depth.min(place.behind_face);
        }
        if place.depth < place.scalp {
            return place;
        }

        let warp = |scale: f32, x: f32| anatomy.warp.at(scale * u + x, scale * v - x);
        let [wu, wv] = [warp(2.6, 3.3) + 0.5 * warp(6.0, 9.1), warp(2.6, 14.7) + 0.5 * warp(6.0, 21.9)];
        place.warped = [u + 0.030 * wu, v + 0.030 * wv];
        place.middle = u + 0.018 * anatomy.warp.at(1.7 * v + 0.4, 5.5);

        // Left and right are like each other, but not the same.
        let side = if place.middle < 0.0 { 0.0 } else { 13.0 };
        let folds = anatomy.folds;
        let (a, b) =
            (angle.abs() / std::f32::consts::PI * folds + 1.1 * wu, place.brain_depth * 3.4 + 1.1 * wv);
        place.lateral_fold =
            0.6 * anatomy.folding.at(a, b + 0.5) + 0.55 * anatomy.folding.at(a + 17.3, b + side + 0.5);
        let (a, b) = (v * folds * 0.36 + 0.9 * wu, place.middle.abs() * 3.6 + 0.9 * wv);
        place.medial_fold =
            0.6 * anatomy.folding.at(a + 8.2, b + 16.5) + 0.5 * anatomy.folding.at(a, b + side + 20.5);
        let varied = anatomy.noise.at(angle * 2.4 + 9.0, 0.3 + side);
        place.reach = anatomy.sulcus_depth * (1.0 + 0.75 * varied);
        place
    }
}

/// Air, skin, fat, muscle, skull and the fluid under it.
fn outer_layers(anatomy: &Anatomy, place: &Place, pixel: f32) -> f32 {
    let signals = &anatomy.signals;
    if place.depth < -pixel {
        return 0.0;
    }
    let texture = 1.0 + 0.16 * anatomy.noise.rough(place.u * 13.0, place.v * 13.0);
    // Skin is darker than the fat below it; at the temples muscle lies between fat and skull.
    let skin = line(place.depth - 0.006, 0.007, pixel);
    let temple =
        smoothstep(0.55, 0.9, (place.angle.abs() - 0.35).sin()) * smoothstep(0.75, 0.45, anatomy.level);
    let muscle = smoothstep(0.35, 0.6, place.depth / place.scalp.max(1e-3)) * temple;
    let scalp = lerp(lerp(signals.scalp, signals.muscle, muscle), signals.muscle, 0.35 * skin) * texture;
    // Two dark tables with marrow between them.
    let within = (place.depth - place.scalp) / place.skull.max(1e-3);
    let marrow = smoothstep(0.22, 0.45, within) * smoothstep(0.82, 0.6, within);
    let bone = lerp(signals.bone, signals.marrow * texture, marrow * (0.75 + 0.25 * texture));
    let mut value = lerp(scalp, bone, inside(place.scalp - place.depth, pixel));
    if place.behind_face < 0.5 {
        let face = skull_base::face(anatomy, [place.u, place.v], place.warped, place.behind_face, pixel);
        let share = inside(place.behind_face, pixel) * smoothstep(-0.01, 0.03, place.depth - place.scalp);
        value = lerp(value, face, share);
    }
    value * inside(-place.depth, pixel)
}

fn brain(anatomy: &Anatomy, place: &Place, lateral: f32, medial: f32, pixel: f32) -> f32 {
    let signals = &anatomy.signals;
    let Place { u, v, brain_depth, .. } = *place;
    let point = [place.warped[0].abs(), place.warped[1]];
    let side = anatomy.sides[usize::from(place.middle > 0.0)];
    let depth = brain_depth - anatomy.gap_thickness * (1.0 + 0.5 * anatomy.warp.at(u * 9.0, v * 9.0));

    // Folds: from the outer surface, and from the fissure between the halves.
    let top = smoothstep(0.72, 0.86, anatomy.level);
    let base_of_skull = anatomy.level < skull_base::HIGHEST_LEVEL;
    let front_end = if base_of_skull { -2.0 } else { lerp(-0.50 + 0.04 * anatomy.sides[0], 2.0, top) };
    let back_end = if base_of_skull { 2.0 } else { lerp(0.44, -2.0, top) };
    let beyond_fissure = (v - front_end).min(back_end - v).max(0.0);
    let fissure = place.middle.abs().hypot(beyond_fissure);
    let inner_reach = (0.13 + 0.5 * (place.reach - anatomy.sulcus_depth)) * lerp(1.0, 1.2, top);
    let lateral = lateral.hypot((depth - place.reach).max(0.0));
    let medial = medial.hypot((fissure - inner_reach).max(0.0)).hypot(0.3 * beyond_fissure);
    let taper = |depth: f32, reach: f32| 1.0 - 0.55 * (depth / reach.max(1e-3)).clamp(0.0, 1.0);
    let varied = (1.0 + 0.9 * anatomy.noise.at(u * 6.0 + 3.0, v * 6.0)).max(0.25);
    let lateral_width = varied * anatomy.sulcus_width * taper(depth, place.reach);
    let medial_width = 0.8 * varied * anatomy.sulcus_width * taper(fissure, inner_reach);
    let hidden = if base_of_skull { 0.5 } else { 0.5 * (1.0 - smoothstep(0.7, 0.55, anatomy.level)) };
    let sylvian = sylvian(point) + hidden;
    let sylvian_width = (0.6 + 0.6 * varied) * anatomy.sulcus_width * 1.2;

    let to_fold = smooth_min(
        smooth_min(lateral - lateral_width, medial - medial_width, 0.02),
        smooth_min(sylvian - sylvian_width, fissure - anatomy.fissure_width, 0.02),
        0.02,
    );
    let to_surface = smooth_min(to_fold, depth, 0.03);
    let ribbon = anatomy.ribbon * (1.0 + 0.25 * anatomy.warp.at(u * 5.0 + 2.0, v * 5.0));
    let mut value =
        lerp(signals.white, signals.grey, smoothstep(0.5, -0.5, (to_surface - ribbon) / (pixel + 0.028)));

    // Deep grey matter.
    let deep = deep_grey(anatomy, point);
    let deep = deep + 0.022 * anatomy.warp.at(u * 8.0 + 1.0, v * 8.0);
    value = lerp(value, signals.deep_grey, 0.9 * smoothstep(0.5, -0.5, deep / (pixel + 0.045)));
    value *= 1.0
        + anatomy.texture * anatomy.noise.rough(u * 9.0, v * 9.0)
        + 0.6 * anatomy.texture * anatomy.noise.at(u * 24.0, v * 24.0);

    // Fluid: under the skull, in folds and fissure, in ventricles.
    let ventricle = ventricles(anatomy, point, side);
    if anatomy.caps > 0.0 && anatomy.sequence == Sequence::Flair {
        let cap =
            smoothstep(0.10, 0.0, ventricle) * (0.55 + 0.6 * anatomy.noise.at(u * 5.0, v * 5.0)).max(0.0);
        value = lerp(value, 1.35 * signals.grey, (anatomy.caps * cap).min(1.0));
    }
    let folded = line(lateral, lateral_width, pixel).max(line(medial, medial_width, pixel));
    let cleft = line(sylvian, sylvian_width, pixel).max(line(fissure, anatomy.fissure_width, pixel));
    let fluid = (anatomy.clarity * folded).max(cleft).max(inside(depth, pixel)).max(inside(ventricle, pixel));
    value = lerp(value, signals.fluid, fluid);

    if base_of_skull {
        return skull_base::hindbrain(anatomy, [u, v], place.warped, value, pixel);
    }

    // The falx is a thin membrane in the fissure, with the sagittal sinus at its back and front.
    let falx = line(fissure, 0.004, pixel) * 0.5;
    let membrane =
        if anatomy.sequence == Sequence::T1Contrast { 0.8 * signals.vessel } else { 0.6 * signals.grey };
    value = lerp(value, membrane, falx);
    let sinus = 1.3 * place.middle.abs() + (brain_depth - 0.012).abs() - if v > 0.0 { 0.034 } else { 0.014 };
    let sinus = inside(sinus, pixel + 0.01) * smoothstep(0.3, 0.5, v.abs());
    value = lerp(value, signals.vessel, sinus);

    // Choroid plexus in the back of the ventricles.
    let plexus = ellipse(point, [0.205, 0.30], [0.028, 0.05], -0.5).max(ventricle + 0.012);
    let plexus_signal = match anatomy.sequence {
        Sequence::T1Contrast => 0.9 * signals.vessel,
        _ => 0.9 * signals.grey,
    };
    lerp(value, plexus_signal, inside(plexus, pixel + 0.01) * 0.8)
}

/// Distance to the middle of the cleft between temporal and frontal lobe.
fn sylvian(point: [f32; 2]) -> f32 {
    let stem = capsule(point, [0.70, -0.20, 0.0], [0.50, -0.08, 0.0]);
    let front = capsule(point, [0.50, -0.08, 0.0], [0.43, -0.24, 0.0]);
    let back = capsule(point, [0.50, -0.08, 0.0], [0.47, 0.12, 0.0]);
    stem.min(front).min(back)
}

/// Signed distance to caudate, lentiform nucleus and thalamus (one half, mirrored).
fn deep_grey(anatomy: &Anatomy, point: [f32; 2]) -> f32 {
    let high = smoothstep(0.5, 0.68, anatomy.level);
    if !(skull_base::HIGHEST_LEVEL..=0.82).contains(&anatomy.level) {
        return 1.0;
    }
    let caudate = ellipse(
        point,
        [lerp(0.155, 0.17, high), lerp(-0.25, -0.12, high)],
        [0.048, lerp(0.10, 0.2, high)],
        -0.25,
    );
    let lentiform = ellipse(point, [0.295, -0.08], [0.075, 0.165], -0.32) + 0.2 * high;
    let thalamus = ellipse(point, [0.115, 0.09], [0.088, 0.15], -0.45) + 0.2 * high;
    caudate.min(lentiform).min(thalamus)
}

/// Signed distance to the ventricles and the cistern behind them (one half, mirrored).
fn ventricles(anatomy: &Anatomy, point: [f32; 2], side: f32) -> f32 {
    let level = anatomy.level;
    let size = anatomy.ventricle * side;
    if !(skull_base::HIGHEST_LEVEL..=0.86).contains(&level) {
        return 1.0;
    }
    // Frontal horn, body and back horn; the body only appears higher up.
    let high = smoothstep(0.5, 0.66, level);
    let vanish = smoothstep(0.74, 0.86, level) * 0.12;
    let tip = [lerp(0.150, 0.125, high), lerp(-0.375, -0.36, high), 0.017 * size];
    let front = [lerp(0.088, 0.085, high), lerp(-0.30, -0.26, high), 0.031 * size];
    let neck = [0.030 + 0.012 * size, lerp(-0.185, -0.08, high), 0.021 * size];
    let waist = [0.055 + 0.02 * size, 0.10, 0.030 * size];
    let trigone = [0.175, 0.285, 0.043 * size];
    let bend = [0.225, 0.37, 0.026 * size];
    let back = [0.215, 0.37 + 0.10 * size.min(1.3), 0.010 * size];
    let horn = smooth_min(capsule(point, tip, front), capsule(point, front, neck), 0.03);
    let body = capsule(point, neck, waist) + 0.12 * (1.0 - high);
    let atrium = capsule(point, waist, trigone) + 0.06 * (1.0 - high);
    let tail = smooth_min(capsule(point, trigone, bend), capsule(point, bend, back), 0.02);
    let lateral = smooth_min(smooth_min(horn, body, 0.02), smooth_min(atrium, tail, 0.03), 0.03) + vanish;
    // Between the frontal horns stays the septum.
    let lateral = lateral.max(0.007 - point[0]);
    let third = capsule(point, [0.0, -0.03, 0.005 + 0.006 * size], [0.0, 0.12, 0.009 * size]) + 0.2 * high;
    let vary = anatomy.sides[1] - 1.0;
    let cistern = smooth_min(
        capsule(point, [0.0, 0.28 + 0.1 * vary, 0.014 + 0.007 * size], [0.0, 0.32, 0.006]),
        capsule(point, [0.0, 0.27, 0.010], [0.055 + 0.15 * vary, 0.245 + 0.2 * vary, 0.003 * size]),
        0.02,
    ) + 0.2 * high;
    lateral.min(third).min(cistern)
}
