//! The nearest of the points seen in training, and how far away they are.

use rayon::prelude::*;

use crate::covariance::check_points;
use crate::{Error, Result};

/// A point and its Euclidean distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Position among the reference points.
    pub index: usize,
    /// Euclidean distance.
    pub distance: f64,
}

/// The `count` nearest of `references` (row-major, `[points, dimensions]`) to `query` (`[dimensions]`), nearest first;
/// of equally near ones the earlier first. `without` leaves out one reference: the query itself, where it is among them.
///
/// # Errors
/// A data error where the lengths do not fit, numbers are not finite, or there are fewer than `count` references;
/// `count` is at least 1.
pub fn nearest(
    query: &[f32],
    references: &[f32],
    count: usize,
    without: Option<usize>,
) -> Result<Vec<Neighbour>> {
    let dimensions = query.len();
    check_points(query, dimensions, "points")?;
    check_points(references, dimensions, "reference points")?;
    nearest_of_checked(query, references, count, without)
}

/// The mean distance to the `count` nearest references for each of `queries` (row-major, `[queries, dimensions]`).
///
/// With `leave_self_out`, `queries` are the `references` themselves, and each is left out of its own neighbours.
///
/// # Errors
/// As [`nearest`]; also if `leave_self_out` is set and the two differ in length.
pub fn mean_nearest_distances(
    queries: &[f32],
    references: &[f32],
    dimensions: usize,
    count: usize,
    leave_self_out: bool,
) -> Result<Vec<f64>> {
    check_points(queries, dimensions, "points")?;
    check_points(references, dimensions, "reference points")?;
    if leave_self_out && queries.len() != references.len() {
        return Err(Error::data(format!(
            "expected the reference points themselves to be left out, found {} points and {} reference points",
            queries.len() / dimensions,
            references.len() / dimensions
        )));
    }
    let mean = |(index, query): (usize, &[f32])| {
        let near = nearest_of_checked(query, references, count, leave_self_out.then_some(index))?;
        Ok(near.iter().map(|neighbour| neighbour.distance).sum::<f64>() / near.len() as f64)
    };
    queries.par_chunks_exact(dimensions).enumerate().map(mean).collect()
}

fn nearest_of_checked(
    query: &[f32],
    references: &[f32],
    count: usize,
    without: Option<usize>,
) -> Result<Vec<Neighbour>> {
    let points =
        references.chunks_exact(query.len()).enumerate().filter(|(index, _)| Some(*index) != without);
    let mut neighbours: Vec<Neighbour> =
        points.map(|(index, point)| Neighbour { index, distance: squared_distance(query, point) }).collect();
    if count == 0 || count > neighbours.len() {
        return Err(Error::data(format!(
            "expected at least 1 and at most {} nearest neighbours (as many as there are reference points), found {count}",
            neighbours.len()
        )));
    }
    let nearer = |first: &Neighbour, second: &Neighbour| {
        first.distance.total_cmp(&second.distance).then(first.index.cmp(&second.index))
    };
    neighbours.select_nth_unstable_by(count - 1, nearer);
    neighbours.truncate(count);
    neighbours.sort_unstable_by(nearer);
    neighbours.iter_mut().for_each(|neighbour| neighbour.distance = neighbour.distance.sqrt());
    Ok(neighbours)
}

/// Sum of squared differences in a fixed order of eight running sums.
fn squared_distance(first: &[f32], second: &[f32]) -> f64 {
    let square = |first: f32, second: f32| (f64::from(first) - f64::from(second)).powi(2);
    let (first_blocks, first_rest) = first.as_chunks::<8>();
    let (second_blocks, second_rest) = second.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (first, second) in first_blocks.iter().zip(second_blocks) {
        for lane in 0..8 {
            sums[lane] += square(first[lane], second[lane]);
        }
    }
    let rest: f64 = first_rest.iter().zip(second_rest).map(|(&first, &second)| square(first, second)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCES: [f32; 8] = [0.0, 0.0, 3.0, 4.0, 0.0, 1.0, 6.0, 8.0];

    #[test]
    fn the_nearest_come_first_and_ties_in_order() {
        let near = nearest(&[0.0, 0.0], &REFERENCES, 3, None).unwrap();
        let found: Vec<_> = near.iter().map(|neighbour| (neighbour.index, neighbour.distance)).collect();
        assert_eq!(found, [(0, 0.0), (2, 1.0), (1, 5.0)]);
        let ties = nearest(&[0.0], &[1.0, -1.0, 1.0], 2, None).unwrap();
        assert_eq!((ties[0].index, ties[1].index), (0, 1));
    }

    #[test]
    fn a_point_is_not_its_own_neighbour() {
        let mean = mean_nearest_distances(&REFERENCES, &REFERENCES, 2, 1, true).unwrap();
        assert_eq!(mean, [1.0, 18.0_f64.sqrt(), 1.0, 5.0]);
        let mean = mean_nearest_distances(&REFERENCES, &REFERENCES, 2, 2, false).unwrap();
        assert_eq!(mean, [0.5, 18.0_f64.sqrt() / 2.0, 0.5, 2.5]);
    }

    #[test]
    fn many_dimensions_agree_with_the_plain_sum() {
        let first: Vec<f32> = (0..37).map(|index| (index as f32).sin()).collect();
        let second: Vec<f32> = (0..37).map(|index| (index as f32).cos()).collect();
        let plain: f64 =
            first.iter().zip(&second).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let found = nearest(&first, &second, 1, None).unwrap()[0].distance;
        assert!((found - plain.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(nearest(&[0.0, 0.0], &REFERENCES, 5, None).is_err_and(|error| error.is_data()));
        assert!(nearest(&[0.0, 0.0], &REFERENCES, 4, Some(0)).is_err());
        assert!(nearest(&[0.0, 0.0], &REFERENCES, 0, None).is_err());
        assert!(nearest(&[0.0, 0.0, 0.0], &REFERENCES, 1, None).is_err());
        assert!(nearest(&[], &REFERENCES, 1, None).is_err());
        assert!(nearest(&[f32::NAN, 0.0], &REFERENCES, 1, None).is_err());
        assert!(mean_nearest_distances(&[0.0, 0.0], &REFERENCES, 2, 1, true).is_err());
    }
}
