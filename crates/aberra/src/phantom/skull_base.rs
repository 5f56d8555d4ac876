//! The lowest slices: eyes, nose, bone between the lobes, brain stem and cerebellum.

use super::anatomy::{Anatomy, Sequence};
use super::field::{capsule, ellipse, inside, lerp, line, smoothstep};

/// Slices below this level show the base of the skull.
pub(super) const HIGHEST_LEVEL: f32 = 0.15;

/// Signed depth of the brain behind the face: negative in front of it.
pub(super) fn behind_face(anatomy: &Anatomy, u: f32, v: f32) -> f32 {
    let edge = -0.30 - 0.28 * u.abs() - 0.10 * smoothstep(0.12, 0.0, u.abs()) + 0.25 * (anatomy.level - 0.06);
    0.9 * (v - edge)
}

/// What lies in front of the brain: fat and muscle of the orbits, eyes, air and thin bone of the nose.
pub(super) fn face(anatomy: &Anatomy, point: [f32; 2], warped: [f32; 2], behind: f32, pixel: f32) -> f32 {
    let signals = &anatomy.signals;
    let [shift_u, shift_v] = shift(anatomy, 2.5);
    let [u, v] = [warped[0].abs() - 0.5 * shift_u, warped[1] + shift_v];
    let fat = 0.85 * signals.scalp * (1.0 + 0.15 * anatomy.noise.rough(point[0] * 8.0, point[1] * 8.0));

    // Outer wall and muscles of the orbit, then the eye with its lens and nerve.
    let orbit = ellipse([u, v], [0.335, -0.56], [0.20, 0.27], 0.25);
    let mut value = lerp(signals.muscle, fat, inside(orbit, pixel + 0.02));
    let straight = capsule([u, v], [0.20, -0.64, 0.016], [0.19, -0.36, 0.014]).min(capsule(
        [u, v],
        [0.475, -0.60, 0.016],
        [0.27, -0.34, 0.014],
    ));
    let nerve = capsule([u, v], [0.325, -0.52, 0.022], [0.20, -0.30, 0.018]);
    value = lerp(value, 1.1 * signals.muscle, inside(straight, pixel + 0.01));
    value = lerp(value, signals.grey, inside(nerve, pixel + 0.01));
    let eye = (u - 0.335).hypot(v + 0.655) - 0.145;
    let vitreous = if anatomy.sequence == Sequence::Flair { 1.4 } else { 1.0 } * signals.fluid;
    value = lerp(value, 1.1 * signals.muscle, inside(eye, pixel));
    value = lerp(value, vitreous, inside(eye + 0.018, pixel));
    let lens = ellipse([u, v], [0.345, -0.755], [0.055, 0.022], 0.1);
    value = lerp(value, 0.8 * signals.grey, inside(lens, pixel));

    // Air of the nose, with its walls.
    let nose = warped[0].abs() - 0.115 - 0.03 * anatomy.warp.at(v * 5.0, 3.0);
    let cells = (anatomy.folding.at(u * 16.0, v * 11.0)).abs();
    let mucosa = smoothstep(0.22, 0.05, cells).max(line(u, 0.01, pixel));
    let lining = if anatomy.sequence == Sequence::T2 { 0.7 * signals.fluid } else { signals.muscle };
    value = lerp(value, lerp(0.4 * signals.bone, lining, 0.75 * mucosa), inside(nose, pixel));

    // Thin bone between face and brain.
    lerp(value, signals.bone, line((behind + 0.012).abs(), 0.009, pixel))
}

/// Bone, brain stem and cerebellum, drawn over the folded lobes in `value`.
pub(super) fn hindbrain(anatomy: &Anatomy, point: [f32; 2], warped: [f32; 2], value: f32, pixel: f32) -> f32 {
    let signals = &anatomy.signals;
    let [shift_u, shift_v] = shift(anatomy, 7.5);
    let [u, v] = [warped[0].abs() * (1.0 + shift_u), warped[1] + shift_v];
    let [x, y] = [point[0] * 5.0, point[1] * 5.0];

    // Cerebellum: fine leaves around a white core.
    let cerebellum =
        ellipse([u, v], [0.20, 0.50], [0.33, 0.25], 0.2).min(ellipse([u, v], [0.0, 0.52], [0.2, 0.22], 0.0));
    let leaves = (u * 0.9).hypot(v - 0.34) * 62.0 + 3.0 * anatomy.warp.at(x, y);
    let core = ellipse([u, v], [0.17, 0.46], [0.17, 0.10], 0.35);
    let bark = lerp(signals.grey, lerp(signals.grey, signals.fluid, 0.4), smoothstep(0.1, 0.9, leaves.sin()));
    let tissue =
        lerp(bark, signals.white, smoothstep(0.05, -0.03, core + 0.05 * anatomy.noise.at(x * 2.0, y * 2.0)));
    let mut value = lerp(value, signals.fluid, 0.8 * line(cerebellum.abs(), 0.012, pixel));
    value = lerp(value, tissue, inside(cerebellum + 0.01, pixel + 0.01));

    // Brain stem in its cistern, with the fourth ventricle behind and a vessel in front.
    let stem = ellipse([u, v], [0.0, 0.18], [0.15, 0.13], 0.0).min(capsule(
        [u, v],
        [0.0, 0.12, 0.10],
        [0.11, 0.24, 0.06],
    )) + 0.02 * anatomy.warp.at(x * 1.2, y * 1.2 + 9.0);
    let cistern = stem.min(ellipse([u, v], [0.0, -0.05], [0.13, 0.10], 0.0)) - 0.02 - anatomy.sulcus_width;
    value = lerp(value, signals.fluid, inside(cistern, pixel + 0.01));
    let stem_signal = lerp(signals.white, signals.grey, 0.35 + 0.25 * anatomy.noise.at(x, y));
    value = lerp(value, stem_signal, inside(stem, pixel + 0.015));
    let fourth = ellipse(
        [u, v],
        [0.0, 0.345],
        [0.03 + 0.035 * anatomy.ventricle, 0.022 + 0.012 * anatomy.ventricle],
        0.0,
    );
    value = lerp(value, signals.fluid, inside(fourth, pixel + 0.005));
    value = lerp(value, signals.vessel, inside(ellipse([u, v], [0.0, 0.0], [0.022, 0.022], 0.0), pixel));
    value = lerp(value, signals.vessel, inside(ellipse([u, v], [0.10, -0.10], [0.024, 0.03], 0.0), pixel));

    // The petrous bone between temporal lobe and cerebellum, and the sphenoid in the middle.
    let petrous = capsule([u, v], [0.22, 0.14, 0.012], [0.68, 0.33 + shift_u, 0.045])
        + 0.025 * anatomy.warp.at(x * 1.5 + 4.0, y * 1.5);
    let sphenoid = ellipse([u, v], [0.0, -0.24], [0.13, 0.12], 0.0);
    let bone =
        lerp(signals.bone, signals.marrow, smoothstep(0.1, 0.6, anatomy.noise.rough(x * 3.0, y * 3.0)));
    value = lerp(value, bone, inside(petrous.min(sphenoid + 0.01), pixel + 0.01));
    // A slit of the temporal horn.
    let horn = capsule([u, v], [0.36, -0.04, 0.006], [0.40, 0.08, 0.012 * anatomy.ventricle]);
    lerp(value, signals.fluid, inside(horn, pixel))
}

/// This head's own displacement, so that no two bases of the skull are alike.
fn shift(anatomy: &Anatomy, part: f32) -> [f32; 2] {
    [0.09 * anatomy.noise.at(part, 0.5), 0.09 * anatomy.noise.at(0.5, part)]
}
