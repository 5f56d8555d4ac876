//! Sample weights, so that a group of many near-duplicates counts as much as a single image.
//!
//! A function of this crate with a parameter `weights` takes one number per image, finite and above 0, or `None` for a
//! weight of 1 each, and the results of the two are equal to the last bit where all weights are 1. Only ratios of weights
//! matter, unless stated otherwise.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// The weight of each image for fitting and for metrics: 1 / (images of its group with its label), so that each group
/// adds 1 to the class of its images, and a group with both classes 1 to each.
///
/// `groups` and `anomalous` have one entry per image.
pub fn group_weights(groups: &[u64], anomalous: &[bool]) -> Vec<f64> {
    let images = || groups.iter().copied().zip(anomalous.iter().copied());
    let mut counts: BTreeMap<(u64, bool), usize> = BTreeMap::new();
    for image in images() {
        *counts.entry(image).or_default() += 1;
    }
    images().map(|image| 1.0 / counts[&image] as f64).collect()
}

/// Checked weights of a number of images.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'a> {
    given: Option<&'a [f64]>,
    images: usize,
}

impl<'a> Weights<'a> {
    /// Weights of so many images, or a data error.
    pub(crate) fn new(given: Option<&'a [f64]>, images: usize) -> Result<Self> {
        let Some(weights) = given else { return Ok(Self { given, images }) };
        if weights.len() != images {
            return Err(Error::data(format!(
                "expected a weight for each of {images} images, found {} weights",
                weights.len()
            )));
        }
        match weights.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
            None => Ok(Self { given, images }),
            Some(index) => Err(Error::data(format!(
                "expected weights that are finite and above 0, found {} at position {index}",
                weights[index]
            ))
            .with_hint("leave out images that should not count")),
        }
    }

    /// The weight of one image.
    pub(crate) fn at(self, image: usize) -> f64 {
        self.given.map_or(1.0, |weights| weights[image])
    }

    /// The weights in the order of the images.
    pub(crate) fn iter(self) -> impl Iterator<Item = f64> + Clone + 'a {
        (0..self.images).map(move |image| self.at(image))
    }

    pub(crate) fn sum(self) -> f64 {
        self.iter().sum()
    }

    /// The effective sample size, in images of equal weight (Kish, *Survey Sampling*, 1965): (sum of weights)^2 / sum
    /// of squares.
    pub(crate) fn effective_count(self) -> f64 {
        self.sum().powi(2) / self.iter().map(|weight| weight * weight).sum::<f64>()
    }

    /// Weighted mean and standard deviation (with the sum of weights in the denominator).
    pub(crate) fn mean_and_deviation(self, values: &[f64]) -> (f64, f64) {
        let total = self.sum();
        let weighted = || values.iter().zip(self.iter());
        let mean = weighted().map(|(value, weight)| weight * value).sum::<f64>() / total;
        let variance = weighted().map(|(value, weight)| weight * (value - mean).powi(2)).sum::<f64>() / total;
        (mean, variance.sqrt())
    }

    /// The weighted median: half of the weight lies below it and half above. Halfway between two values where they share
    /// the weight evenly, so that the median of whole weights is that of values repeated as often.
    pub(crate) fn median(self, values: &[f64]) -> f64 {
        let mut rising: Vec<(f64, f64)> = values.iter().copied().zip(self.iter()).collect();
        rising.sort_unstable_by(|first, second| first.0.total_cmp(&second.0));
        let half = self.sum() / 2.0;
        let mut weight_so_far = 0.0;
        for (index, &(value, weight)) in rising.iter().enumerate() {
            weight_so_far += weight;
            if weight_so_far >= half * (1.0 - ROUNDING) {
                let shared = weight_so_far <= half * (1.0 + ROUNDING);
                return match rising.get(index + 1) {
                    Some((next, _)) if shared => (value + next) / 2.0,
                    _ => value,
                };
            }
        }
        f64::NAN
    }
}

/// Sums of weights such as 1/3 miss the exact sum by less than this share.
pub(crate) const ROUNDING: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_once_in_each_class() {
        let groups = [7, 7, 9, 7, 9, 9, 4];
        let anomalous = [false, false, true, true, true, true, false];
        let third = 1.0 / 3.0;
        assert_eq!(group_weights(&groups, &anomalous), [0.5, 0.5, third, 1.0, third, third, 1.0]);
        assert!(group_weights(&[], &[]).is_empty());
    }

    #[test]
    fn whole_weights_are_repeated_values() {
        let values = [5.0, 1.0, 3.0, 2.0];
        let median = |weights: &[f64]| Weights::new(Some(weights), 4).unwrap().median(&values);
        assert_eq!(median(&[1.0, 1.0, 1.0, 1.0]), 2.5);
        // 1 2 2 2 3 5, and in thirds the same.
        assert_eq!(median(&[1.0, 1.0, 1.0, 3.0]), 2.0);
        // 1 2 3 5 5 5: between 3 and 5.
        assert_eq!(median(&[3.0, 1.0, 1.0, 1.0]), 4.0);
        assert_eq!(median(&[1.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]), 4.0);
        assert_eq!(Weights::new(None, 4).unwrap().median(&values), 2.5);
        assert_eq!(Weights::new(None, 3).unwrap().median(&values[..3]), 3.0);
        assert_eq!(Weights::new(Some(&[2.0, 2.0, 2.0]), 3).unwrap().effective_count(), 3.0);
        let (mean, deviation) = Weights::new(Some(&[3.0, 1.0]), 2).unwrap().mean_and_deviation(&[0.0, 4.0]);
        assert_eq!((mean, deviation), (1.0, 3.0_f64.sqrt()));
    }

    #[test]
    fn nonsense_is_refused() {
        for weights in
            [vec![1.0], vec![1.0, 0.0], vec![1.0, -1.0], vec![f64::NAN, 1.0], vec![f64::INFINITY; 2]]
        {
            assert!(Weights::new(Some(&weights), 2).is_err_and(|error| error.is_data()), "{weights:?}");
        }
    }
}
