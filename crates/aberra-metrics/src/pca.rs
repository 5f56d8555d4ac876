//! Principal components of points (Pearson, 1901; Hotelling, 1933): by singular value decomposition of the centred points, or,
//! where these have more dimensions than there are points, by the eigenvectors of the points' products with each other.

use linfa_linalg::eigh::{EigSort, Eigh};
use linfa_linalg::svd::SVD;
use ndarray::{Array2, Axis};

use crate::covariance::check_points;
use crate::{Error, Result};

/// Directions in which points vary most, orthogonal and of unit length.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Mean of the points, `[dimensions]`.
    pub mean: Vec<f64>,
    /// `[components][dimensions]`, by falling variance. The entry of largest size is positive (of equal ones the first).
    pub components: Vec<Vec<f64>>,
    /// Variance of the points along each component, with n in the denominator, as in [covariances](crate::covariance).
    pub variances: Vec<f64>,
    /// Share of the whole variance that each component explains, 0 to 1.
    pub explained: Vec<f64>,
}

/// The principal components of `points`, each `[dimensions]`: at most `most`, and no more than have any variance.
///
/// # Errors
/// A data error for fewer than two points, points of differing lengths or that are not finite, and points that are all
/// the same.
pub fn pca(points: &[Vec<f32>], most: usize) -> Result<Pca> {
    let dimensions = points.first().map_or(0, Vec::len);
    if points.len() < 2 || dimensions == 0 || points.iter().any(|point| point.len() != dimensions) {
        return Err(Error::data(format!(
            "expected at least 2 points of equal length for principal components, found {}",
            points.len()
        )));
    }
    check_points(&points.concat(), dimensions, "points")?;
    let count = points.len() as f64;
    let mut mean = vec![0.0; dimensions];
    for point in points {
        mean.iter_mut().zip(point).for_each(|(mean, &value)| *mean += f64::from(value) / count);
    }
    let centred = |(row, column): (usize, usize)| f64::from(points[row][column]) - mean[column];
    let matrix = Array2::from_shape_fn((points.len(), dimensions), centred);
    let whole: f64 = matrix.iter().map(|value| value * value).sum::<f64>() / count;
    let mut found = if points.len() < dimensions { of_few(&matrix)? } else { of_many(matrix)? };
    found.iter_mut().for_each(|(variance, _)| *variance /= count);
    found.retain(|(variance, _)| *variance > NO_VARIANCE * whole);
    if found.is_empty() {
        return Err(Error::data("expected points that differ for principal components, found all the same"));
    }
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.truncate(most);
    let (variances, components): (Vec<f64>, Vec<Vec<f64>>) = found.into_iter().unzip();
    Ok(Pca {
        mean,
        explained: variances.iter().map(|variance| variance / whole).collect(),
        components: components.into_iter().map(with_sign).collect(),
        variances,
    })
}

/// Share of the whole variance below which a component is rounding.
const NO_VARIANCE: f64 = 1e-14;

/// A sum of squares, and the direction along which the points have it.
type Along = (f64, Vec<f64>);

/// Of at least as many points as dimensions.
fn of_many(matrix: Array2<f64>) -> Result<Vec<Along>> {
    let (_, singular, directions) = matrix.svd(false, true).map_err(cannot)?;
    let directions = directions.ok_or_else(|| Error::data("the principal components cannot be computed"))?;
    Ok(singular
        .iter()
        .map(|singular| singular * singular)
        .zip(directions.rows().into_iter().map(|row| row.to_vec()))
        .collect())
}

/// Of fewer points than dimensions: the products are of as many rows as points.
fn of_few(matrix: &Array2<f64>) -> Result<Vec<Along>> {
    let products = matrix.dot(&matrix.t());
    let (squares, shares) = products.eigh().map_err(cannot)?.sort_eig_desc();
    // The products' own rounding is of this size.
    let least = squares.first().copied().unwrap_or(0.0) * ROUNDING_OF_PRODUCTS;
    let along = |(&square, share): (&f64, ndarray::ArrayView1<'_, f64>)| {
        (square > least).then(|| (square, (matrix.t().dot(&share) / square.sqrt()).to_vec()))
    };
    Ok(squares.iter().zip(shares.axis_iter(Axis(1))).map_while(along).collect())
}

/// Share of the largest sum of squares below which those of products are rounding.
const ROUNDING_OF_PRODUCTS: f64 = 1e-12;

fn cannot(error: linfa_linalg::LinalgError) -> Error {
    Error::data(format!("the principal components cannot be computed: {error}"))
}

/// A direction and its opposite are one component: this one is shown.
fn with_sign(direction: Vec<f64>) -> Vec<f64> {
    let largest = direction
        .iter()
        .fold(0.0_f64, |largest, value| if value.abs() > largest.abs() { *value } else { largest });
    if largest < 0.0 { direction.into_iter().map(|value| -value).collect() } else { direction }
}

impl Pca {
    /// Coordinates of a point on the components, measured from the mean.
    ///
    /// # Errors
    /// A data error for a point of another length, or one that is not finite.
    pub fn project(&self, point: &[f32]) -> Result<Vec<f64>> {
        check_points(point, self.mean.len(), "points")?;
        let along = |component: &Vec<f64>| {
            let terms = component.iter().zip(&self.mean).zip(point);
            terms.map(|((direction, mean), &value)| direction * (f64::from(value) - mean)).sum()
        };
        Ok(self.components.iter().map(along).collect())
    }

    /// Standard deviation of the points along each component: the root of its variance.
    pub fn standard_deviations(&self) -> impl Iterator<Item = f64> {
        self.variances.iter().map(|variance| variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_component_and_a_positive_sign() {
        let points: Vec<Vec<f32>> = (0..5).map(|at| vec![-(at as f32), 2.0 - 2.0 * at as f32]).collect();
        let found = pca(&points, 10).unwrap();
        assert_eq!(found.components.len(), 1);
        let unit = 5.0_f64.sqrt().recip();
        assert!(
            (found.components[0][0] - unit).abs() < 1e-12
                && (found.components[0][1] - 2.0 * unit).abs() < 1e-12
        );
        assert!((found.explained[0] - 1.0).abs() < 1e-12);
        // The variance of 0, 1, 2, 3, 4 is 2; a step along the line is sqrt(5) long.
        assert!((found.variances[0] - 10.0).abs() < 1e-12);
        assert!(found.project(&[-2.0, -2.0]).unwrap()[0].abs() < 1e-12);
    }

    #[test]
    fn one_dimension_and_fewer_points_than_dimensions_work() {
        let line = pca(&[vec![1.0], vec![3.0]], 5).unwrap();
        assert!(line.components == [vec![1.0]] && (line.variances[0] - 1.0).abs() < 1e-12);
        let wide = pca(&[vec![0.0, 0.0, 1.0], vec![0.0, 1.0, 0.0]], 5).unwrap();
        assert_eq!(wide.components.len(), 1);
    }

    #[test]
    fn products_of_few_points_give_the_components_of_the_decomposition() {
        let value = |(row, column): (usize, usize)| {
            ((row * 37 + column * 101 + row * column) % 97) as f64 / 97.0 - 0.5
        };
        let matrix = Array2::from_shape_fn((6, 40), value);
        let few = of_few(&matrix).unwrap();
        let mut many = of_many(matrix).unwrap();
        many.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        assert_eq!(few.len(), 6);
        for ((square, direction), (expected, along)) in few.iter().zip(&many) {
            let cosine: f64 = direction.iter().zip(along).map(|(a, b)| a * b).sum();
            assert!(
                (square / expected - 1.0).abs() < 1e-9 && cosine.abs() > 1.0 - 1e-9,
                "{square} {expected} {cosine}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for points in [
            vec![],
            vec![vec![1.0]],
            vec![vec![1.0], vec![1.0, 2.0]],
            vec![vec![f32::NAN], vec![1.0]],
            vec![vec![2.0, 1.0]; 4],
            vec![vec![]; 3],
        ] {
            assert!(pca(&points, 2).is_err_and(|error| error.is_data()), "{points:?}");
        }
    }
}
