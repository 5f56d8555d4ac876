//! The embedding space in a report: principal components, what each dimension is used for, and decoded images.

use super::pictures::PictureFormat;
use crate::Result;
use crate::detector::{Detector, Part};
use crate::explain::{Pca, decoder, embedding_moments, embeddings_of, prior_samples, traversal};
use crate::wire::{EllipseData, LatentData, TraversalData, short, shorts};
use aberra_metrics::covariance::Cloud;
use aberra_metrics::random::{Stream, generator};

/// Components whose share of the variance is shown.
pub(super) const EXPLAINED: usize = 10;
/// Components on which images have coordinates.
const COMPONENTS: usize = 5;
/// Most calibration normals in the cloud.
const CLOUD: usize = 1_000;
/// Strips of decoded images along components, and along single dimensions.
const STRIPS: usize = 4;
/// Where along a strip images are decoded, in standard deviations of the training normals.
const POSITIONS: [f64; 7] = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0];
/// Images drawn from the prior.
const PRIOR_SAMPLES: usize = 16;
/// The 95th percentile of the chi-square distribution with two degrees of freedom, -2 ln 0.05.
const CHI_SQUARE_95: f64 = 5.991_464_547_107_982;

/// Coordinates of an embedding on the components that a report shows.
pub(super) fn coordinates(pca: &Pca, embedding: &[f32]) -> Result<Vec<f64>> {
    Ok(shorts(pca.project(embedding)?.into_iter().take(COMPONENTS)))
}

/// What a report shows of the latent space.
pub(super) fn latent(detector: &Detector, pca: &Pca) -> Result<LatentData> {
    let format = PictureFormat::of_decoded(detector);
    let calibration = embeddings_of(detector, Part::Calibration).unwrap_or_default();
    let coordinates =
        calibration.iter().map(|embedding| coordinates(pca, embedding)).collect::<Result<Vec<_>>>()?;
    let step = coordinates.len().div_ceil(CLOUD).max(1);
    let mut random = generator(detector.config().seed, Stream::Prior, 0);
    let samples = prior_samples(detector, &mut random, PRIOR_SAMPLES)?.unwrap_or_default();
    Ok(LatentData {
        explained: shorts(pca.explained.iter().copied()),
        components: pca.components.len().min(COMPONENTS),
        ellipse: ellipse(&coordinates),
        calibration: coordinates.into_iter().step_by(step).collect(),
        kl_per_dimension: shorts(kl_per_dimension(detector).iter().copied()),
        traversals: match decoder(detector) {
            Ok(_) => traversals(detector, pca, format)?,
            Err(_) => Vec::new(),
        },
        prior_samples: samples.iter().map(|sample| format.picture(sample)).collect::<Result<_>>()?,
    })
}

/// The mean KL divergence of each dimension of the space that is shown; empty if it is no distribution.
fn kl_per_dimension(detector: &Detector) -> &[f64] {
    detector.embedding_member().map_or(&[], |member| detector.kl_per_dimension(member))
}

fn ellipse(points: &[Vec<f64>]) -> Option<EllipseData> {
    if points.len() < 3 || points[0].len() < 2 {
        return None;
    }
    let plane: Vec<f32> = points.iter().flat_map(|point| [point[0] as f32, point[1] as f32]).collect();
    let Cloud { mean, covariance, .. } = Cloud::of(&plane, 2, None).ok()?;
    Some(EllipseData {
        mean: [0, 1].map(|axis| short(mean[axis])),
        covariance: [0, 1].map(|row| [0, 1].map(|column| short(covariance[2 * row + column]))),
        chi_square: CHI_SQUARE_95,
    })
}

/// Strips along the first components, and along the dimensions that the model uses most.
fn traversals(detector: &Detector, pca: &Pca, format: PictureFormat) -> Result<Vec<TraversalData>> {
    let mut lines: Vec<(String, Vec<f64>)> = Vec::new();
    let components = pca.components.iter().zip(pca.standard_deviations()).take(STRIPS);
    for (index, (component, spread)) in components.enumerate() {
        let name = format!("component {} ({:.1} % of the variance)", index + 1, pca.explained[index] * 100.0);
        lines.push((name, component.iter().map(|direction| direction * spread).collect()));
    }
    let kl = kl_per_dimension(detector);
    let mut dimensions: Vec<usize> = (0..kl.len()).collect();
    dimensions.sort_by(|&a, &b| kl[b].total_cmp(&kl[a]).then(a.cmp(&b)));
    let moments = embedding_moments(detector)?;
    for dimension in dimensions.into_iter().take(STRIPS) {
        let mut step = vec![0.0; kl.len()];
        step[dimension] = moments.standard_deviations[dimension];
        lines.push((format!("dimension {} (KL {:.2} nats)", dimension + 1, kl[dimension]), step));
    }
    let strip = |(name, step): (String, Vec<f64>)| {
        let images = traversal(detector, &pca.mean, &step, &POSITIONS)?;
        let pictures = images.iter().map(|image| format.picture(image)).collect::<Result<_>>()?;
        Ok(TraversalData { name, positions: POSITIONS.to_vec(), pictures })
    };
    lines.into_iter().map(strip).collect()
}
