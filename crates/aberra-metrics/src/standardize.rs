//! Values in standard deviations from their mean.

use serde::{Deserialize, Serialize};

use crate::weights::Weights;
use crate::{Error, Result};

/// A mean, and one over a standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    /// The values' weighted mean.
    pub mean: f64,
    /// One over their standard deviation (with the sum of weights in the denominator); 0 for values that do not vary,
    /// so that they contribute nothing.
    pub scale: f64,
}

impl Standardizer {
    /// Learns mean and scale from `values`, with a weight each or all alike.
    ///
    /// # Errors
    /// A data error without values, for a value that is not finite, or for [weights](crate::weights) that do not fit.
    pub fn fit(values: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let weights = Weights::new(weights, values.len())?;
        if values.is_empty() {
            return Err(Error::data("expected values to standardise, found none"));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::data(format!(
                "expected finite values to standardise, found {} at position {index}",
                values[index]
            )));
        }
        let (mean, deviation) = weights.mean_and_deviation(values);
        // Rounding is not variation.
        Ok(Self { mean, scale: if deviation > 1e-12 * mean.abs() { deviation.recip() } else { 0.0 } })
    }

    /// (`value` - mean) x scale.
    pub fn apply(&self, value: f64) -> f64 {
        (value - self.mean) * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_stand_for_repeated_values() {
        let weighted = Standardizer::fit(&[1.0, 2.0, 4.0], Some(&[1.0, 3.0, 2.0])).unwrap();
        let repeated = Standardizer::fit(&[1.0, 2.0, 2.0, 2.0, 4.0, 4.0], None).unwrap();
        assert!((weighted.mean - repeated.mean).abs() < 1e-15);
        assert!((weighted.scale - repeated.scale).abs() < 1e-15);
        // Mean 2.5; squared distances 2.25, 0.25 three times, 2.25 twice: variance 7.5 / 6.
        assert!((weighted.apply(4.0) - 1.5 / 1.25_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn values_that_do_not_vary_say_nothing() {
        let constant = Standardizer::fit(&[0.1; 7], None).unwrap();
        assert_eq!(constant.apply(1e9), 0.0);
        assert_eq!(Standardizer::fit(&[0.0], None).unwrap().scale, 0.0);
    }

    #[test]
    fn nonsense_is_refused() {
        for (values, weights) in [(vec![], None), (vec![f64::NAN], None), (vec![1.0], Some(&[0.0][..]))] {
            assert!(Standardizer::fit(&values, weights).is_err_and(|error| error.is_data()));
        }
    }
}
