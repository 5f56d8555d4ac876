//! The foreground of an image, so that anomalies are drawn into the object and not next to it.

use super::MASK_TOLERANCE;
use super::field::{box_blur, smoothstep};

/// A pixel of the smoothed image is foreground above this share of the brightest part.
const FOREGROUND_SHARE: f32 = 0.12;

/// A border brighter than this share of the brightest part is a bright background or none.
const DARKEST_SHARE: f32 = 0.35;

/// An image has a dark background when at least this share of its border has nearly the same value.
const DARK_BORDER_SHARE: f32 = 0.5;

/// The same of a bright background: more, as textures have flat borders, too.
const BRIGHT_BORDER_SHARE: f32 = 0.9;

/// 1 where there is an object, 0 in a flat background; 1 everywhere when the image has none.
pub(super) fn foreground(grey: &[f32], size: usize) -> Vec<f32> {
    let quantile = |values: &mut [f32], percent: usize| {
        let at = (values.len() - 1) * percent / 100;
        *values.select_nth_unstable_by(at, f32::total_cmp).1
    };
    // A band, not only the outermost line: pictures may have a thin frame.
    let band = (size / 16).max(2);
    let border = |at: usize| {
        let (row, column) = (at / size, at % size);
        row.min(column).min(size - 1 - row).min(size - 1 - column) < band
    };
    let mut rim: Vec<f32> = (0..grey.len()).filter(|&at| border(at)).map(|at| grey[at]).collect();
    let brightest = quantile(&mut grey.to_vec(), 99);
    let background = quantile(&mut rim, 40);
    let is_dark = background <= DARKEST_SHARE * brightest;
    let differs = |value: f32| {
        let difference = value - background;
        (if is_dark { difference } else { difference.abs() }) > FOREGROUND_SHARE * brightest
    };
    let flat =
        rim.iter().filter(|&&value| (value - background).abs() <= FOREGROUND_SHARE * brightest).count();
    let least = if is_dark { DARK_BORDER_SHARE } else { BRIGHT_BORDER_SHARE };
    let everywhere = vec![1.0; grey.len()];
    if brightest <= MASK_TOLERANCE || (flat as f32) < least * rim.len() as f32 {
        return everywhere;
    }
    // Smoothing closes small dark places inside the object; what is dark beyond that is filled if no way leads out.
    let reach = (size / 64).max(1);
    let mut object: Vec<f32> = grey.iter().map(|&g| if differs(g) { 1.0 } else { 0.0 }).collect();
    box_blur(&mut object, size, reach);
    let mut outside = vec![0; grey.len()];
    let starts = (0..grey.len()).filter(|&at| border(at) && object[at] < 0.5).collect();
    spread(size, starts, &mut outside, 1, |at| object[at] < 0.5);
    // Of what is left, the largest piece is the object; frames and captions are not.
    let mut piece = vec![0; grey.len()];
    let (mut pieces, mut largest) = (0, (0, 0));
    for start in 0..grey.len() {
        if outside[start] == 0 && piece[start] == 0 {
            pieces += 1;
            let count = spread(size, vec![start], &mut piece, pieces, |at| outside[at] == 0);
            largest = largest.max((count, pieces));
        }
    }
    if largest.0 * 50 < grey.len() {
        return everywhere;
    }
    let mut inside: Vec<f32> =
        piece.iter().map(|&piece| if piece == largest.1 { 1.0 } else { 0.0 }).collect();
    // Draw inwards, so that nothing spills over the edge of the object.
    box_blur(&mut inside, size, reach);
    inside.iter().map(|&share| smoothstep(0.55, 1.0, share)).collect()
}

/// Writes `label` on the pixels that can be reached from `starts` over unlabelled `open` neighbours; how many.
fn spread(
    size: usize,
    starts: Vec<usize>,
    labels: &mut [u32],
    label: u32,
    open: impl Fn(usize) -> bool,
) -> usize {
    let mut next = starts;
    let mut count = 0;
    while let Some(at) = next.pop() {
        if labels[at] != 0 {
            continue;
        }
        labels[at] = label;
        count += 1;
        let (row, column) = (at / size, at % size);
        let neighbours = [
            (row > 0).then(|| at - size),
            (row + 1 < size).then_some(at + size),
            (column > 0).then(|| at - 1),
            (column + 1 < size).then_some(at + 1),
        ];
        next.extend(neighbours.into_iter().flatten().filter(|&at| labels[at] == 0 && open(at)));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_or_a_caption_is_not_the_object() {
        let size = 64;
        let disc = |at: usize| ((at % size) as f32 - 32.0).hypot((at / size) as f32 - 32.0) < 20.0;
        let mut grey: Vec<f32> = (0..size * size).map(|at| if disc(at) { 0.7 } else { 0.02 }).collect();
        for row in 0..size {
            grey[row * size] = 1.0;
            grey[row * size + 1] = 1.0;
        }
        let found = foreground(&grey, size);
        assert_eq!(found[32 * size + 32], 1.0);
        assert_eq!(found[32 * size], 0.0);
        assert_eq!(found[5 * size + 5], 0.0);
    }
    #[test]
    fn an_object_on_a_bright_background_is_found() {
        let size = 64;
        let disc = |at: usize| ((at % size) as f32 - 32.0).hypot((at / size) as f32 - 32.0) < 14.0;
        let picture = |around: f32, disc_of: f32| -> Vec<f32> {
            (0..size * size).map(|at| if disc(at) { disc_of } else { around }).collect()
        };
        // Darker than the background, or brighter.
        for grey in [picture(0.8, 0.3), picture(0.6, 0.95)] {
            let found = foreground(&grey, size);
            assert_eq!((found[32 * size + 32], found[5 * size + 5]), (1.0, 0.0));
        }
        // A texture has no background, flat as its border may be.
        let texture: Vec<f32> = picture(0.6, 0.63);
        assert!(foreground(&texture, size).iter().all(|&share| share == 1.0));
    }
}
