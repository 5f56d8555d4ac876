//! Which slices of a volume show nothing but air: nothing can be learnt from them, and they would only thin out its scores.

use aberra_image::Image;

/// The share of the volume's usual spread at or below which a slice is empty: what noise in air reaches and tissue exceeds.
const EMPTY_SHARE: f32 = 0.15;

/// The share of pixels at each end of a slice's values that does not count: stray bright pixels are no content.
const STRAY_SHARE: f64 = 0.001;

/// How far the grey values of a slice are apart, without stray pixels.
pub(super) fn spread(slice: &Image) -> f32 {
    let mut grey = slice.to_grey();
    let last = grey.len().saturating_sub(1);
    let stray = (grey.len() as f64 * STRAY_SHARE) as usize;
    let (low, high) = (stray.min(last), last.saturating_sub(stray));
    let low = *grey.select_nth_unstable_by(low, f32::total_cmp).1;
    let high = *grey.select_nth_unstable_by(high, f32::total_cmp).1;
    high - low
}

/// For each slice of a volume, by its [`spread`], whether it is empty: its values are hardly apart where those of the volume's upper
/// quartile are. Slices that cannot be read are not; where all are of one value each, all are.
pub(super) fn are_empty(spreads: &[Option<f32>]) -> Vec<bool> {
    let mut with_content: Vec<f32> =
        spreads.iter().flatten().copied().filter(|&spread| spread > 0.0).collect();
    with_content.sort_by(f32::total_cmp);
    let usual = with_content.get(with_content.len() * 3 / 4).copied().unwrap_or(0.0);
    spreads.iter().map(|spread| spread.is_some_and(|spread| spread <= EMPTY_SHARE * usual)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn air_is_empty_whatever_its_noise_and_content_is_not() {
        let spreads = [0.0, 0.04, 0.5, 0.9, 1.0, 0.95, 0.2, 0.05].map(Some);
        let empty = are_empty(&spreads);
        assert_eq!(empty, [true, true, false, false, false, false, false, true]);
        // One slice with a very bright spot takes no other with it.
        let spot = [0.5, 0.6, 0.55, 100.0, 0.5, 0.6, 0.02].map(Some);
        assert_eq!(are_empty(&spot), [false, false, false, false, false, false, true]);
        assert_eq!(are_empty(&[Some(0.0), None, Some(0.0)]), [true, false, true]);
        assert!(are_empty(&[]).is_empty());
    }

    #[test]
    fn stray_pixels_are_no_content() {
        let mut pixels = vec![0.25; 64 * 64];
        pixels[..4].fill(9.0);
        let image = |pixels: Vec<f32>| Image::from_pixels(pixels, 64, 64, 1).unwrap();
        assert_eq!(spread(&image(pixels.clone())), 0.0);
        pixels[..40].fill(9.0);
        assert_eq!(spread(&image(pixels)), 8.75);
    }
}
