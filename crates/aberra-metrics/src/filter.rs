//! Filters and measures of single-channel planes, row-major `[height, width]`: median, Gaussian, gradient energy.
//!
//! Beyond its edges a plane is padded with its mirror image, edge pixels repeated: `c b a | a b c | c b a`.

use crate::{Error, Result};

/// The median of the 5 x 5 pixels around each pixel: takes away what is smaller than about half of that.
///
/// # Errors
/// A data error where the plane is empty or not of `height` x `width` pixels, or a pixel is not finite.
pub fn median_filter_5x5(plane: &[f32], height: usize, width: usize) -> Result<Vec<f32>> {
    const RADIUS: usize = 2;
    check_plane(plane, height, width)?;
    // Padded to whole blocks of lanes on the right, so that every block is full.
    let padded_width = width.next_multiple_of(LANES) + 2 * RADIUS;
    let mut padded = Vec::with_capacity((height + 2 * RADIUS) * padded_width);
    for row in 0..height + 2 * RADIUS {
        let source = &plane[mirrored(row as isize - RADIUS as isize, height) * width..][..width];
        padded.extend(
            (0..padded_width).map(|column| source[mirrored(column as isize - RADIUS as isize, width)]),
        );
    }
    let mut filtered = vec![0.0; plane.len()];
    for (row, output) in filtered.chunks_exact_mut(width).enumerate() {
        for (block, output) in output.chunks_mut(LANES).enumerate() {
            let mut window = [[0.0; LANES]; 25];
            for (index, lanes) in window.iter_mut().enumerate() {
                let start = (row + index / 5) * padded_width + block * LANES + index % 5;
                lanes.copy_from_slice(&padded[start..start + LANES]);
            }
            let medians = median_of_25(&mut window, |first, second| {
                for (first, second) in first.iter_mut().zip(second) {
                    let (low, high) = if *first < *second { (*first, *second) } else { (*second, *first) };
                    (*first, *second) = (low, high);
                }
            });
            output.copy_from_slice(&medians[..output.len()]);
        }
    }
    Ok(filtered)
}

/// The weights of a Gaussian of `sigma` pixels, cut at 3.5 sigma (11 taps at 1.5), that sum to 1.
///
/// # Errors
/// A settings error where sigma is not above 0 and at most 100.
pub fn gaussian_taps(sigma: f64) -> Result<Vec<f64>> {
    const CUT_SIGMAS: f64 = 3.5;
    const MOST_SIGMA: f64 = 100.0;
    if !(sigma > 0.0 && sigma <= MOST_SIGMA) {
        return Err(Error::settings(format!(
            "expected a Gaussian window of sigma above 0 and at most {MOST_SIGMA} pixels, found {sigma}"
        )));
    }
    let radius = (CUT_SIGMAS * sigma + 0.5) as i32;
    let taps: Vec<f64> =
        (-radius..=radius).map(|offset| (-0.5 * (f64::from(offset) / sigma).powi(2)).exp()).collect();
    let sum: f64 = taps.iter().sum();
    Ok(taps.into_iter().map(|tap| tap / sum).collect())
}

/// Gradient energy, a measure of complexity: the mean squared difference of horizontal neighbours plus that of vertical
/// ones. 0 for a constant plane; a plane of one column or row has no differences that way.
///
/// # Errors
/// As [`median_filter_5x5`].
pub fn gradient_energy(plane: &[f32], height: usize, width: usize) -> Result<f64> {
    check_plane(plane, height, width)?;
    let square = |first: &f32, second: &f32| (f64::from(*second) - f64::from(*first)).powi(2);
    let horizontal: f64 = plane
        .chunks_exact(width)
        .map(|row| row.iter().zip(&row[1..]).map(|(first, second)| square(first, second)).sum::<f64>())
        .sum();
    let vertical: f64 = plane.iter().zip(&plane[width..]).map(|(first, second)| square(first, second)).sum();
    let mean = |sum: f64, count: usize| if count > 0 { sum / count as f64 } else { 0.0 };
    Ok(mean(horizontal, plane.len() - height) + mean(vertical, plane.len() - width))
}

/// Convolves rows, then columns with an odd number of symmetric `taps`; edges are mirrored.
///
/// # Errors
/// A data error where the plane is empty or not of `height` x `width` pixels, a settings error for an even number of
/// taps.
pub fn separable_filter(plane: &[f64], height: usize, width: usize, taps: &[f64]) -> Result<Vec<f64>> {
    check_size(plane.len(), height, width)?;
    if taps.len().is_multiple_of(2) {
        return Err(Error::settings(format!("expected an odd number of taps, found {}", taps.len())));
    }
    let radius = taps.len() / 2;
    let mut rows = vec![0.0; plane.len()];
    let mut padded = vec![0.0; width + 2 * radius];
    for (source, output) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
        for (index, value) in padded.iter_mut().enumerate() {
            *value = source[mirrored(index as isize - radius as isize, width)];
        }
        weighted_sum(output, taps, |tap| &padded[tap..tap + width]);
    }
    let mut filtered = vec![0.0; plane.len()];
    for (row, output) in filtered.chunks_exact_mut(width).enumerate() {
        weighted_sum(output, taps, |tap| {
            let source = mirrored((row + tap) as isize - radius as isize, height);
            &rows[source * width..][..width]
        });
    }
    Ok(filtered)
}

/// The sum of the lines that `line` gives for each of the weights, so many at a time as stay in registers.
fn weighted_sum<'a>(output: &mut [f64], weights: &[f64], line: impl Fn(usize) -> &'a [f64]) {
    const WIDTH: usize = 16;
    let (blocks, rest) = output.as_chunks_mut::<WIDTH>();
    let done = blocks.len() * WIDTH;
    for (number, block) in blocks.iter_mut().enumerate() {
        let mut sums = [0.0; WIDTH];
        for (index, weight) in weights.iter().enumerate() {
            if let Some(values) = line(index)[number * WIDTH..].first_chunk::<WIDTH>() {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value * weight;
                }
            }
        }
        *block = sums;
    }
    for (column, sum) in rest.iter_mut().enumerate() {
        *sum = weights.iter().enumerate().map(|(index, weight)| line(index)[done + column] * weight).sum();
    }
}

/// Rejects a plane that is not of `height` x `width` finite pixels.
pub(crate) fn check_plane(plane: &[f32], height: usize, width: usize) -> Result<()> {
    check_size(plane.len(), height, width)?;
    match plane.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::data(format!(
            "expected a finite plane, found {} in row {}, column {}",
            plane[index],
            index / width,
            index % width
        ))),
    }
}

fn check_size(pixels: usize, height: usize, width: usize) -> Result<()> {
    if pixels > 0 && height.checked_mul(width) == Some(pixels) {
        return Ok(());
    }
    Err(Error::data(format!(
        "expected a plane of {height} x {width} pixels, at least one, found {pixels} pixels"
    )))
}

/// [`separable_filter`] along one axis as a matrix, `[length, length]`: its product with a line is the filtered line.
pub fn filter_matrix(length: usize, taps: &[f64]) -> Vec<f64> {
    let radius = taps.len() / 2;
    let mut matrix = vec![0.0; length * length];
    for (at, row) in matrix.chunks_exact_mut(length.max(1)).enumerate() {
        for (offset, tap) in taps.iter().enumerate() {
            row[mirrored((at + offset) as isize - radius as isize, length)] += tap;
        }
    }
    matrix
}

/// The position within `0..length` that `index` mirrors, for any distance beyond the edges.
pub fn mirrored(index: isize, length: usize) -> usize {
    let period = 2 * length as isize;
    let within = index.rem_euclid(period);
    (if within < length as isize { within } else { period - 1 - within }) as usize
}

/// Pixels filtered side by side.
const LANES: usize = 16;

/// Leaves the median of 25 in the middle by 99 exchanges (Devillard, *Fast median search*, 1998, after Paeth): `exchange` brings
/// two into order, the smaller first.
pub fn median_of_25<T: Copy>(values: &mut [T; 25], mut exchange: impl FnMut(&mut T, &mut T)) -> T {
    #[rustfmt::skip]
    const EXCHANGES: [(usize, usize); 99] = [
        (0, 1), (3, 4), (2, 4), (2, 3), (6, 7), (5, 7), (5, 6), (9, 10), (8, 10), (8, 9), (12, 13), (11, 13), (11, 12),
        (15, 16), (14, 16), (14, 15), (18, 19), (17, 19), (17, 18), (21, 22), (20, 22), (20, 21), (23, 24), (2, 5),
        (3, 6), (0, 6), (0, 3), (4, 7), (1, 7), (1, 4), (11, 14), (8, 14), (8, 11), (12, 15), (9, 15), (9, 12),
        (13, 16), (10, 16), (10, 13), (20, 23), (17, 23), (17, 20), (21, 24), (18, 24), (18, 21), (19, 22), (8, 17),
        (9, 18), (0, 18), (0, 9), (10, 19), (1, 19), (1, 10), (11, 20), (2, 20), (2, 11), (12, 21), (3, 21), (3, 12),
        (13, 22), (4, 22), (4, 13), (14, 23), (5, 23), (5, 14), (15, 24), (6, 24), (6, 15), (7, 16), (7, 19), (13, 21),
        (15, 23), (7, 13), (7, 15), (1, 9), (3, 11), (5, 17), (11, 17), (9, 17), (4, 10), (6, 12), (7, 14), (4, 6),
        (4, 7), (12, 14), (10, 14), (6, 7), (10, 12), (6, 10), (6, 17), (12, 17), (7, 17), (7, 10), (12, 18), (7, 12),
        (10, 18), (12, 20), (10, 20), (10, 12),
    ];
    for (low, high) in EXCHANGES {
        let (before, from_high) = values.split_at_mut(high);
        exchange(&mut before[low], &mut from_high[0]);
    }
    values[12]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_matrix_of_a_filter_filters() {
        let (plane, taps) = ([3.0, 1.0, 4.0, 1.0, 5.0, 9.0], gaussian_taps(1.0).unwrap());
        for length in 1..=plane.len() {
            let matrix = filter_matrix(length, &taps);
            let expected = separable_filter(&plane[..length], 1, length, &taps).unwrap();
            // The single row is its own mirror, so that filtering columns changes nothing.
            for (row, expected) in matrix.chunks_exact(length).zip(expected) {
                let found: f64 = row.iter().zip(plane).map(|(weight, value)| weight * value).sum();
                assert!((found - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_network_finds_the_median_of_every_pattern() {
        // Zero-one principle: right for all 2^25 patterns of zeros and ones is right for all numbers. 64 patterns at a
        // time, one per bit; the smaller of two bits is their and, the larger their or.
        const LOW_BITS: [u64; 6] = [
            0xaaaa_aaaa_aaaa_aaaa,
            0xcccc_cccc_cccc_cccc,
            0xf0f0_f0f0_f0f0_f0f0,
            0xff00_ff00_ff00_ff00,
            0xffff_0000_ffff_0000,
            0xffff_ffff_0000_0000,
        ];
        // Which of the 64 patterns of the low six bits have more than a given number of ones.
        let low_ones: Vec<u64> = (0..=13_u32)
            .map(|least| (0..64_u32).filter(|low| low.count_ones() >= least).map(|low| 1 << low).sum())
            .collect();
        for high in 0..1_u32 << 19 {
            let mut values = [0; 25];
            values[..6].copy_from_slice(&LOW_BITS);
            for (bit, value) in values[6..].iter_mut().enumerate() {
                *value = if high >> bit & 1 == 1 { u64::MAX } else { 0 };
            }
            let median = median_of_25(&mut values, |first, second| {
                (*first, *second) = (*first & *second, *first | *second)
            });
            // The median is 1 where at least 13 of the 25 are.
            let missing = 13_u32.saturating_sub(high.count_ones());
            assert_eq!(median, low_ones[missing as usize], "{high:#x}");
        }
    }

    /// A plane of any size up to 20 x 40 pixels.
    fn planes() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
        (1..=20_usize, 1..=40_usize).prop_flat_map(|(height, width)| {
            let pixels = proptest::collection::vec(-1.0_f32..1.0, height * width);
            (Just(height), Just(width), pixels)
        })
    }

    /// The pixel at a place that may lie beyond the edges.
    fn at(plane: &[f32], (height, width): (usize, usize), row: isize, column: isize) -> f32 {
        plane[mirrored(row, height) * width + mirrored(column, width)]
    }

    proptest! {
        #[test]
        fn the_median_filter_agrees_with_sorting((height, width, plane) in planes()) {
            let filtered = median_filter_5x5(&plane, height, width).unwrap();
            for (index, &found) in filtered.iter().enumerate() {
                let (row, column) = ((index / width) as isize, (index % width) as isize);
                let mut window: Vec<f32> = (0..25)
                    .map(|place| at(&plane, (height, width), row + place / 5 - 2, column + place % 5 - 2))
                    .collect();
                window.sort_unstable_by(f32::total_cmp);
                prop_assert_eq!(found, window[12]);
            }
        }

        #[test]
        fn rows_then_columns_agree_with_the_window_in_one(
            (height, width, plane) in planes(),
            half in proptest::collection::vec(0.0_f64..1.0, 1..7),
        ) {
            let taps: Vec<f64> = half.iter().rev().chain(&half[1..]).copied().collect();
            let radius = half.len() as isize - 1;
            let wide: Vec<f64> = plane.iter().map(|&value| f64::from(value)).collect();
            let filtered = separable_filter(&wide, height, width, &taps).unwrap();
            for (index, &found) in filtered.iter().enumerate() {
                let (row, column) = ((index / width) as isize, (index % width) as isize);
                let mut sum = 0.0;
                for (down, first) in (-radius..=radius).zip(&taps) {
                    for (right, second) in (-radius..=radius).zip(&taps) {
                        sum += first * second * f64::from(at(&plane, (height, width), row + down, column + right));
                    }
                }
                prop_assert!((found - sum).abs() < 1e-9, "{} against {}", found, sum);
            }
        }

        #[test]
        fn gradient_energy_agrees_with_pairs_of_neighbours((height, width, plane) in planes()) {
            let mean_square = |pairs: Vec<(f32, f32)>| {
                let squares = pairs.iter().map(|&(a, b)| (f64::from(a) - f64::from(b)).powi(2));
                squares.sum::<f64>() / pairs.len().max(1) as f64
            };
            let value = |row: usize, column: usize| plane[row * width + column];
            let places = || (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
            let across =
                places().filter(|at| at.1 > 0).map(|(row, column)| (value(row, column), value(row, column - 1)));
            let down =
                places().filter(|at| at.0 > 0).map(|(row, column)| (value(row, column), value(row - 1, column)));
            let expected = mean_square(across.collect()) + mean_square(down.collect());
            prop_assert!((gradient_energy(&plane, height, width).unwrap() - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn mirrors_repeat_the_edge() {
        let seen: Vec<usize> = (-4..8).map(|index| mirrored(index, 3)).collect();
        assert_eq!(seen, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        assert_eq!((mirrored(-5, 1), mirrored(5, 1)), (0, 0));
    }

    #[test]
    fn gaussian_windows_have_the_known_taps() {
        let taps = gaussian_taps(1.5).unwrap();
        assert_eq!(taps.len(), 11);
        assert!((taps.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert!((taps[5] - 0.266_011_7).abs() < 1e-6);
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(gaussian_taps(sigma).is_err_and(|error| error.is_settings()));
        }
    }

    #[test]
    fn gradient_energy_by_hand() {
        // Horizontal differences 1, 2, 0, -4; vertical 3, 2, -4.
        let energy = gradient_energy(&[0.0, 1.0, 3.0, 3.0, 3.0, -1.0], 2, 3).unwrap();
        let by_hand = (1.0 + 4.0 + 0.0 + 16.0) / 4.0 + (9.0 + 4.0 + 16.0) / 3.0;
        assert!((energy - by_hand).abs() < 1e-12, "{energy} {by_hand}");
        assert_eq!(gradient_energy(&[5.0; 12], 3, 4).unwrap(), 0.0);
        assert_eq!(gradient_energy(&[1.0, 3.0], 2, 1).unwrap(), 4.0);
        assert_eq!(gradient_energy(&[1.0], 1, 1).unwrap(), 0.0);
    }

    #[test]
    fn nonsense_is_refused() {
        for (plane, height, width) in [
            (vec![], 0, 0),
            (vec![], 1, 1),
            (vec![1.0; 3], 1, 2),
            (vec![1.0], 0, 1),
            (vec![1.0; 2], usize::MAX, 2),
            (vec![1.0, f32::NAN], 1, 2),
            (vec![f32::INFINITY], 1, 1),
        ] {
            assert!(median_filter_5x5(&plane, height, width).is_err_and(|error| error.is_data()));
            assert!(gradient_energy(&plane, height, width).is_err());
        }
        assert!(separable_filter(&[1.0; 3], 2, 2, &[1.0]).is_err_and(|error| error.is_data()));
        assert!(separable_filter(&[1.0; 4], 2, 2, &[0.5; 2]).is_err_and(|error| error.is_settings()));
    }
}
