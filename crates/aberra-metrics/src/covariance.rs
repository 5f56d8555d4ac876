//! Covariance, as it is and with shrinkage, and the distance of a point from the middle of a cloud in its own units.
//!
//! A cloud's variances have n (with weights, their sum) in the denominator, as Ledoit and Wolf's do: the cloud is described
//! as it is, and no larger population is inferred from it.
//!
//! Ledoit and Wolf, *A well-conditioned estimator for large-dimensional covariance matrices* (2004).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::weights::Weights;
use crate::{Error, Result};

/// The most dimensions that a cloud may have here.
pub const MOST_DIMENSIONS: usize = 4_096;

/// The middle and the shape of a cloud of points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cloud {
    /// Mean point, `[dimensions]`.
    pub mean: Vec<f64>,
    /// Covariance, row-major `[dimensions, dimensions]`.
    pub covariance: Vec<f64>,
    /// Weight of the identity (times the mean variance) in the covariance, from 0 to 1; 0 where it is not shrunk.
    pub shrinkage: f64,
}

impl Cloud {
    /// The cloud of `points` (row-major, `[points, dimensions]`), its covariance as it is.
    ///
    /// # Errors
    /// As [`ledoit_wolf`](Self::ledoit_wolf).
    pub fn of(points: &[f32], dimensions: usize, weights: Option<&[f64]>) -> Result<Self> {
        let Moments { mean, covariance, .. } = Moments::of(points, dimensions, weights)?;
        Ok(Self { mean, covariance, shrinkage: 0.0 })
    }

    /// The cloud of `points` (row-major, `[points, dimensions]`), its covariance shrunk by the weight of Ledoit and Wolf.
    ///
    /// With `weights` each mean over points (mean, covariance, and the variance of the covariance's entries that decides
    /// the shrinkage) is a weighted mean, and the number of points by which that variance falls is the effective one,
    /// (sum of weights)^2 / sum of squared weights.
    ///
    /// # Errors
    /// A data error where the lengths do not fit, there are fewer than two points or more than [`MOST_DIMENSIONS`]
    /// dimensions, a number is not finite, or [weights](crate::weights) do not fit.
    pub fn ledoit_wolf(points: &[f32], dimensions: usize, weights: Option<&[f64]>) -> Result<Self> {
        let Moments { weights, mean, centered, mut covariance } = Moments::of(points, dimensions, weights)?;
        let shrinkage = ledoit_wolf_shrinkage(&centered, &covariance, dimensions, weights);
        let mean_variance =
            (0..dimensions).map(|d| covariance[d * dimensions + d]).sum::<f64>() / dimensions as f64;
        covariance.iter_mut().for_each(|value| *value *= 1.0 - shrinkage);
        for dimension in 0..dimensions {
            covariance[dimension * dimensions + dimension] += shrinkage * mean_variance;
        }
        Ok(Self { mean, covariance, shrinkage })
    }

    /// What measures distances from the middle of this cloud.
    ///
    /// # Errors
    /// A data error where the lengths do not fit or the covariance is not positive definite (no variation at all, or
    /// dimensions that depend on each other).
    pub fn mahalanobis(&self) -> Result<Mahalanobis> {
        let dimensions = self.mean.len();
        let factor = (self.covariance.len() == dimensions * dimensions
            && self.mean.iter().all(|mean| mean.is_finite()))
        .then(|| Cholesky::new(&self.covariance, dimensions))
        .flatten()
        .ok_or_else(|| {
            Error::data(format!(
                "expected a positive definite covariance of {dimensions} dimensions, found one that is not"
            ))
            .with_hint("the points do not vary enough: give more of them, or fewer dimensions")
        })?;
        Ok(Mahalanobis { mean: self.mean.clone(), factor })
    }
}

/// What the points of a cloud give before anything is shrunk.
struct Moments<'a> {
    weights: Weights<'a>,
    mean: Vec<f64>,
    /// The points less their mean.
    centered: Vec<f64>,
    covariance: Vec<f64>,
}

impl<'a> Moments<'a> {
    fn of(points: &[f32], dimensions: usize, weights: Option<&'a [f64]>) -> Result<Self> {
        check_points(points, dimensions, "points")?;
        let count = points.len() / dimensions;
        if count < 2 || dimensions > MOST_DIMENSIONS {
            return Err(Error::data(format!(
                "expected at least 2 points of at most {MOST_DIMENSIONS} dimensions for a covariance, \
                 found {count} of {dimensions}"
            )));
        }
        let weights = Weights::new(weights, count)?;
        let total = weights.sum();
        let mut mean = vec![0.0; dimensions];
        for (point, weight) in points.chunks_exact(dimensions).zip(weights.iter()) {
            for (sum, &value) in mean.iter_mut().zip(point) {
                *sum += weight * f64::from(value);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= total);
        let centered: Vec<f64> = points
            .iter()
            .enumerate()
            .map(|(index, &value)| f64::from(value) - mean[index % dimensions])
            .collect();
        let covariance = second_moments(&centered, dimensions, weights);
        Ok(Self { weights, mean, centered, covariance })
    }
}

/// The Mahalanobis distance from the middle of a cloud, prepared for many points.
#[derive(Clone, Debug)]
pub struct Mahalanobis {
    mean: Vec<f64>,
    factor: Cholesky,
}

impl Mahalanobis {
    /// From the middle of a cloud and the factor of its covariance.
    pub fn new(mean: Vec<f64>, factor: Cholesky) -> Self {
        Self { mean, factor }
    }

    /// The middle of the cloud.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The factor of its covariance.
    pub fn factor(&self) -> &Cholesky {
        &self.factor
    }

    /// The distance of `point`: sqrt((x - mean)' covariance^-1 (x - mean)). `None` if the number of dimensions is
    /// another or a number is not finite.
    pub fn distance(&self, point: &[f32]) -> Option<f64> {
        if point.len() != self.mean.len() || point.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let centered: Vec<f64> =
            point.iter().zip(&self.mean).map(|(&value, mean)| f64::from(value) - mean).collect();
        Some(self.factor.solve_lower(&centered).iter().map(|value| value * value).sum::<f64>().sqrt())
    }
}

/// The lower triangular factor L of a symmetric positive definite matrix L L'.
#[derive(Clone, Debug)]
pub struct Cholesky {
    /// Rows of the triangle one after the other: row i has i + 1 numbers.
    rows: Vec<f64>,
    size: usize,
}

impl Cholesky {
    /// Reads the lower triangle of a row-major matrix. `None` if it is not positive definite.
    pub fn new(matrix: &[f64], size: usize) -> Option<Self> {
        let mut rows: Vec<f64> = Vec::with_capacity(size * (size + 1) / 2);
        for row in 0..size {
            let start = rows.len();
            for column in 0..=row {
                let other = column * (column + 1) / 2;
                let known = dot(&rows[start..start + column], &rows[other..other + column]);
                let rest = matrix[row * size + column] - known;
                if column < row {
                    rows.push(rest / rows[other + column]);
                } else if rest > matrix[row * size + row].abs() * size as f64 * f64::EPSILON {
                    rows.push(rest.sqrt());
                } else {
                    return None;
                }
            }
        }
        rows.iter().all(|value| value.is_finite()).then_some(Self { rows, size })
    }

    /// From its [rows](Self::rows). `None` if their length does not fit, or a number is not finite or on the diagonal not
    /// positive.
    pub fn from_rows(rows: Vec<f64>, size: usize) -> Option<Self> {
        let fits = rows.len() == size * (size + 1) / 2 && rows.iter().all(|value| value.is_finite());
        let factor = Self { rows, size };
        (fits && (0..size).all(|index| factor.row(index)[index] > 0.0)).then_some(factor)
    }

    /// The rows of the triangle one after the other: row i has i + 1 numbers.
    pub fn rows(&self) -> &[f64] {
        &self.rows
    }

    /// y with L y = `right`.
    pub fn solve_lower(&self, right: &[f64]) -> Vec<f64> {
        let mut solution = Vec::with_capacity(self.size);
        for (index, value) in right.iter().enumerate() {
            let row = self.row(index);
            let rest = value - dot(&row[..index], &solution);
            solution.push(rest / row[index]);
        }
        solution
    }

    /// The inverse of L', row-major: y with L y = x is the row x times it.
    pub fn inverse_transposed(&self) -> Vec<f64> {
        let unit = |at: usize| (0..self.size).map(|row| f64::from(u8::from(row == at))).collect::<Vec<_>>();
        (0..self.size).flat_map(|row| self.solve_lower(&unit(row))).collect()
    }

    /// x with L L' x = `right`.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solution = self.solve_lower(right);
        for index in (0..self.size).rev() {
            let row = self.row(index);
            solution[index] /= row[index];
            let value = solution[index];
            for (earlier, factor) in solution[..index].iter_mut().zip(row) {
                *earlier -= factor * value;
            }
        }
        solution
    }

    fn row(&self, index: usize) -> &[f64] {
        &self.rows[index * (index + 1) / 2..][..index + 1]
    }
}

/// Rejects an empty or ragged matrix of points, or one with numbers that are not finite.
pub(crate) fn check_points(points: &[f32], dimensions: usize, what: &str) -> Result<()> {
    if dimensions == 0 || !points.len().is_multiple_of(dimensions) {
        return Err(Error::data(format!(
            "expected {what} of {dimensions} numbers each, at least one, found {} numbers",
            points.len()
        )));
    }
    match points.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::data(format!(
            "expected finite {what}, found {} in number {} of the one at position {}",
            points[index],
            index % dimensions,
            index / dimensions
        ))),
    }
}

/// X'WX / sum of weights of centred points, row-major. Threads share out rows; each sum runs over the points in their order.
fn second_moments(centered: &[f64], dimensions: usize, weights: Weights<'_>) -> Vec<f64> {
    /// Rows summed in one pass over the points, so that a point is read once for all of them.
    const ROWS: usize = 16;
    let total = weights.sum();
    let mut moments = vec![0.0; dimensions * dimensions];
    moments.par_chunks_mut(ROWS * dimensions).enumerate().for_each(|(block, rows)| {
        for (point, weight) in centered.chunks_exact(dimensions).zip(weights.iter()) {
            for (row, sums) in rows.chunks_exact_mut(dimensions).enumerate() {
                let dimension = block * ROWS + row;
                let factor = weight * point[dimension];
                for (sum, value) in sums[..=dimension].iter_mut().zip(point) {
                    *sum += factor * value;
                }
            }
        }
    });
    for row in 0..dimensions {
        for column in 0..=row {
            let moment = moments[row * dimensions + column] / total;
            moments[row * dimensions + column] = moment;
            moments[column * dimensions + row] = moment;
        }
    }
    moments
}

fn ledoit_wolf_shrinkage(
    centered: &[f64],
    covariance: &[f64],
    dimensions: usize,
    weights: Weights<'_>,
) -> f64 {
    if dimensions == 1 {
        return 0.0;
    }
    let size = dimensions as f64;
    let mean_variance = (0..dimensions).map(|d| covariance[d * dimensions + d]).sum::<f64>() / size;
    let squares: f64 = covariance.iter().map(|value| value * value).sum();
    let fourth_powers = centered.chunks_exact(dimensions).map(|point| dot(point, point).powi(2));
    let fourth_moment =
        fourth_powers.zip(weights.iter()).map(|(power, weight)| weight * power).sum::<f64>() / weights.sum();
    // Distance of the covariance from the identity's multiple, and the part of it that is noise.
    let distance = (squares - size * mean_variance * mean_variance) / size;
    let noise = ((fourth_moment - squares) / (size * weights.effective_count())).min(distance);
    if noise > 0.0 { noise / distance } else { 0.0 }
}

/// Sum of products in a fixed order of eight running sums.
fn dot(first: &[f64], second: &[f64]) -> f64 {
    let (first_blocks, first_rest) = first.as_chunks::<8>();
    let (second_blocks, second_rest) = second.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (first, second) in first_blocks.iter().zip(second_blocks) {
        for lane in 0..8 {
            sums[lane] += first[lane] * second[lane];
        }
    }
    let rest: f64 = first_rest.iter().zip(second_rest).map(|(first, second)| first * second).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::random::{Stream, generator};

    fn noise(count: usize, seed: u64) -> Vec<f32> {
        let mut random = generator(seed, Stream::Latent, 0);
        (0..count).map(|_| random.random::<f32>() - 0.5).collect()
    }

    #[test]
    fn a_cloud_as_it_is_has_the_covariance_of_numpy() {
        // a = np.array([[1, -2], [2, 0], [4, 7]]); a.mean(axis=0), np.cov(a.T, bias=True)
        let cloud = Cloud::of(&[1.0, -2.0, 2.0, 0.0, 4.0, 7.0], 2, None).unwrap();
        let close = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-14)
        };
        assert!(close(&cloud.mean, &[7.0 / 3.0, 5.0 / 3.0]), "{:?}", cloud.mean);
        assert!(close(&cloud.covariance, &[14.0 / 9.0, 43.0 / 9.0, 43.0 / 9.0, 134.0 / 9.0]), "{cloud:?}");
        assert_eq!(cloud.shrinkage, 0.0);
    }

    #[test]
    fn the_distance_is_in_units_of_the_clouds_own_spread() {
        let cloud = Cloud { mean: vec![1.0, 2.0], covariance: vec![4.0, 0.0, 0.0, 9.0], shrinkage: 0.0 };
        let measure = cloud.mahalanobis().unwrap();
        assert_eq!(measure.distance(&[1.0, 2.0]), Some(0.0));
        assert_eq!(measure.distance(&[3.0, 2.0]), Some(1.0));
        assert_eq!(measure.distance(&[1.0, -4.0]), Some(2.0));
        assert_eq!(measure.distance(&[1.0]), None);
        assert_eq!(measure.distance(&[f32::NAN, 1.0]), None);
    }

    #[test]
    fn the_factor_solves_its_matrix() {
        for size in [1, 2, 7, 40] {
            let points: Vec<f64> = noise(size * size * 3, size as u64).into_iter().map(f64::from).collect();
            let matrix = second_moments(&points, size, Weights::new(None, 3 * size).unwrap());
            let factor = Cholesky::new(&matrix, size).unwrap();
            let right: Vec<f64> = (0..size).map(|index| index as f64 - 2.0).collect();
            let solution = factor.solve(&right);
            for row in 0..size {
                assert!((dot(&matrix[row * size..][..size], &solution) - right[row]).abs() < 1e-9);
            }
        }
        // L = [[2, 0], [1, 3]]
        let factor = Cholesky::new(&[4.0, 2.0, 2.0, 10.0], 2).unwrap();
        let inverse = factor.inverse_transposed();
        assert!(inverse.iter().zip([0.5, -1.0 / 6.0, 0.0, 1.0 / 3.0]).all(|(a, b)| (a - b).abs() < 1e-15));
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[1.0, 1.0, 1.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
    }

    #[test]
    fn the_shrinkage_ends_at_one_where_all_shape_is_noise() {
        // Four points of an almost round cloud.
        let cloud = Cloud::ledoit_wolf(&[1.25, 0.0, -1.25, 0.0, 0.0, 1.0, 0.0, -1.0], 2, None).unwrap();
        assert_eq!(cloud.shrinkage, 1.0);
        let mean_variance = (2.0 * 1.25 * 1.25 + 2.0) / 4.0 / 2.0;
        assert_eq!(cloud.covariance, [mean_variance, 0.0, 0.0, mean_variance]);
    }

    #[test]
    fn five_hundred_dimensions_of_few_points_work_for_any_number_of_threads() {
        let points = noise(512 * 100, 1);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Cloud::ledoit_wolf(&points, 512, None)).unwrap()
        };
        let cloud = with_threads(1);
        assert_eq!(cloud, with_threads(3));
        assert!(cloud.shrinkage > 0.5 && cloud.shrinkage < 1.0);
        let distance = cloud.mahalanobis().unwrap().distance(&points[..512]).unwrap();
        assert!(distance > 15.0 && distance < 30.0, "{distance}");
    }

    #[test]
    fn only_ratios_of_weights_matter_and_equal_ones_change_nothing() {
        let points = noise(7 * 40, 3);
        let plain = Cloud::ledoit_wolf(&points, 7, None).unwrap();
        assert_eq!(plain, Cloud::ledoit_wolf(&points, 7, Some(&[1.0; 40])).unwrap());
        let weights: Vec<f64> = (0..40).map(|index| 1.0 + f64::from(index % 5)).collect();
        // A square of a power of 2, so that nothing is rounded otherwise.
        let fourfold: Vec<f64> = weights.iter().map(|weight| 4.0 * weight).collect();
        let weighted = Cloud::ledoit_wolf(&points, 7, Some(&weights)).unwrap();
        assert_eq!(weighted, Cloud::ledoit_wolf(&points, 7, Some(&fourfold)).unwrap());
        assert_ne!(weighted, plain);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Cloud::ledoit_wolf(&[1.0, 2.0], 0, None).is_err_and(|error| error.is_data()));
        assert!(Cloud::ledoit_wolf(&[1.0, 2.0, 3.0], 2, None).is_err());
        assert!(Cloud::ledoit_wolf(&[1.0, 2.0], 2, None).is_err());
        assert!(Cloud::ledoit_wolf(&[1.0, 2.0, f32::NAN, 1.0], 2, None).is_err());
        assert!(Cloud::ledoit_wolf(&[1.0, 2.0], 1, Some(&[1.0])).is_err_and(|error| error.is_data()));
        let constant = Cloud::ledoit_wolf(&[1.0, 2.0, 1.0, 2.0], 2, None).unwrap();
        assert!(constant.mahalanobis().is_err_and(|error| error.is_data()));
        let ragged = Cloud { mean: vec![0.0; 2], covariance: vec![1.0], shrinkage: 0.0 };
        assert!(ragged.mahalanobis().is_err());
    }
}
