//! The scorer `fusion`: three views of one image, each in standard deviations of normals, added up.
//!
//! Each sees what the others miss: the `residual` an image that is reproduced worse than its complexity explains, the
//! latent distance one that is unlike every training normal, the error's peak a small area that stands out. Scores that
//! are standardised on held-out normals and averaged are the usual way to combine detectors (Aggarwal and Sathe,
//! *Theoretical foundations and algorithms for outlier ensembles*, 2015).

use super::Evidence;
use super::scorer::{Residual, Scorer, log, standardizer};
use crate::Result;

/// The sum of residual, latent distance and error peak, each in standard deviations of the fit split's normals.
pub(super) struct Fusion;

/// Scores that are added up.
const VIEWS: usize = 3;

impl Fusion {
    /// Residual, latent distance (log) and peak (log), each in its own units.
    fn views(residual: &[f64], evidence: &Evidence) -> [f64; VIEWS] {
        let latent = log(evidence.neighbour_distance);
        [Residual.score(residual, evidence), latent, log(evidence.peak_error)]
    }
}

impl Scorer for Fusion {
    fn name(&self) -> &'static str {
        "fusion"
    }

    fn about(&self) -> &'static str {
        "residual, latent distance and the error's peak, each in standard deviations of normals, added up"
    }

    fn needs_reference(&self) -> bool {
        true
    }

    /// Mean and scale of each view, then the residual's own parameters.
    fn fit(&self, normals: &[Evidence]) -> Result<Vec<f64>> {
        let residual = Residual.fit(normals)?;
        let views: Vec<[f64; VIEWS]> = normals.iter().map(|normal| Self::views(&residual, normal)).collect();
        let scales: [[f64; 2]; VIEWS] =
            std::array::from_fn(|view| standardizer(views.iter().map(|views| views[view])));
        Ok([scales.as_flattened(), &residual].concat())
    }

    fn score(&self, parameters: &[f64], evidence: &Evidence) -> f64 {
        let Some((scales, residual)) = parameters.split_at_checked(2 * VIEWS) else { return f64::NAN };
        let views = Self::views(residual, evidence).into_iter().zip(scales.as_chunks::<2>().0);
        views.map(|(view, [mean, scale])| (view - mean) * scale).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, generator};
    use rand::RngExt;

    fn normals() -> Vec<Evidence> {
        let mut random = generator(1, Stream::Phantom, 0);
        let mut draw = || 0.5 + random.random::<f64>();
        (0..40)
            .map(|_| Evidence {
                squared_error: 0.01 * draw(),
                peak_error: 4.0 * draw(),
                kl: 60.0 * draw(),
                neighbour_distance: 5.0 * draw(),
                gradient_energy: 0.02 * draw(),
                standard_deviation: 0.2 * draw(),
                ..Evidence::default()
            })
            .collect()
    }

    #[test]
    fn normals_score_zero_on_average_and_each_view_raises_the_score() {
        let normals = normals();
        let parameters = Fusion.fit(&normals).unwrap();
        let score = |evidence: &Evidence| Fusion.score(&parameters, evidence);
        let mean = normals.iter().map(score).sum::<f64>() / normals.len() as f64;
        assert!(mean.abs() < 1e-9, "{mean}");
        let usual = score(&normals[0]);
        let worse = Evidence { squared_error: 2.0 * normals[0].squared_error, ..normals[0] };
        let stranger = Evidence { neighbour_distance: 2.0 * normals[0].neighbour_distance, ..normals[0] };
        let spot = Evidence { peak_error: 2.0 * normals[0].peak_error, ..normals[0] };
        for changed in [worse, stranger, spot] {
            assert!(score(&changed) > usual + 0.5, "{changed:?}");
        }
    }

    #[test]
    fn a_view_that_does_not_vary_says_nothing() {
        let normals: Vec<Evidence> =
            normals().into_iter().map(|normal| Evidence { neighbour_distance: 3.0, ..normal }).collect();
        let parameters = Fusion.fit(&normals).unwrap();
        assert!(parameters.iter().all(|parameter| parameter.is_finite()), "a file cannot hold others");
        let far = Evidence { neighbour_distance: 30.0, ..normals[0] };
        assert_eq!(Fusion.score(&parameters, &far), Fusion.score(&parameters, &normals[0]));
    }
}
