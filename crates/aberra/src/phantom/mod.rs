//! Brain-like slices and lesions drawn by a program: for the demo, tests and the choice of checkpoints.

#![allow(missing_docs)]
#[derive(Clone, Copy)]
pub enum SyntheticKind {
    Blob,
}
impl SyntheticKind {
    pub const ALL: [Self; 1] = [Self::Blob];
}
pub fn draw_anomaly(
    pixels: &mut [f32],
    size_px: usize,
    _channels: usize,
    _seed: u64,
    index: u64,
    _kind: SyntheticKind,
) -> Vec<bool> {
    let c = size_px / 2 + (index as usize % 9) * 2;
    for y in c - 8..c + 8 {
        for x in c - 8..c + 8 {
            pixels[y * size_px + x] = (pixels[y * size_px + x] + 0.3).min(1.0);
        }
    }
    Vec::new()
}
