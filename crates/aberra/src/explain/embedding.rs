//! What a detector's embedding space holds: the training normals nearest to an image, principal components, and, where a
//! member decodes points of it, images along a direction and images drawn from the prior.
//!
//! The space that is shown is that of the first member that has one ([`Detector::embedding_member`]).

use aberra_metrics::pca::{Pca, pca};
use aberra_models::Decoder;
use rand::Rng;

use crate::detector::{Detector, Part};
use crate::{Error, Result};

/// A training normal near an image in the embedding space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NearNormal {
    /// Its number among the detector's [`normals`](Detector::normals).
    pub normal: usize,
    /// Distance in the embedding space, each dimension in standard deviations of the training normals.
    pub distance: f64,
}

/// The training normals nearest to an embedding, at most `count`, nearest first.
///
/// # Errors
/// No member has an embedding space; an embedding of another length, or one that is not finite.
pub fn nearest(detector: &Detector, embedding: &[f32], count: usize) -> Result<Vec<NearNormal>> {
    let reference = detector.reference().ok_or_else(no_space)?;
    if embedding.len() != reference.dimensions() {
        return Err(wrong_length(reference.dimensions(), embedding.len()));
    }
    if embedding.iter().any(|value| !value.is_finite()) {
        return Err(Error::data("expected a finite latent, found NaN or infinity"));
    }
    let train: Vec<usize> = detector
        .normals()
        .iter()
        .enumerate()
        .filter(|(_, normal)| normal.part == Part::Train)
        .map(|(index, _)| index)
        .collect();
    // Of normals with tiles, the reference holds the same number of tiles of each, and the nearest stands for its normal.
    let tiles = (reference.embeddings().len() / train.len().max(1)).max(1);
    let mut found: Vec<NearNormal> = Vec::new();
    for near in reference.nearest(embedding, count * tiles)? {
        let Some(&normal) = train.get(near.index / tiles) else { continue };
        if found.len() < count && found.iter().all(|known| known.normal != normal) {
            found.push(NearNormal { normal, distance: near.distance });
        }
    }
    Ok(found)
}

/// Images decoded from `points` of the embedding space: expected pixels `[height, width, channels]`, 0 to 1.
///
/// # Errors
/// The member decodes no points; a point of another length, or one that is not finite.
pub fn decode(detector: &Detector, points: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    decoder(detector)?.decode(points)
}

/// Images decoded along a straight line in the embedding space: at `origin + position * step` for each of `positions`.
///
/// # Errors
/// As [`decode`]; a step of another length.
pub fn traversal(
    detector: &Detector,
    origin: &[f64],
    step: &[f64],
    positions: &[f64],
) -> Result<Vec<Vec<f32>>> {
    if origin.len() != step.len() {
        return Err(wrong_length(origin.len(), step.len()));
    }
    let at = |position: &f64| {
        origin.iter().zip(step).map(|(origin, step)| (origin + position * step) as f32).collect()
    };
    let points: Vec<Vec<f32>> = positions.iter().map(at).collect();
    decode(detector, &points)
}

/// `count` points drawn from the prior over the embedding space; `None` if the member has none.
pub fn draw_from_prior(detector: &Detector, random: &mut dyn Rng, count: usize) -> Option<Vec<Vec<f32>>> {
    let member = &detector.members()[detector.embedding_member()?].member;
    Some(member.prior()?.draw(random, count))
}

/// Images decoded from `count` points drawn from the prior; `None` if the member has none.
///
/// # Errors
/// As [`decode`].
pub fn prior_samples(
    detector: &Detector,
    random: &mut dyn Rng,
    count: usize,
) -> Result<Option<Vec<Vec<f32>>>> {
    let drawn = draw_from_prior(detector, random, count);
    drawn.map(|points| decode(detector, &points)).transpose()
}

/// The principal components of a detector's training normals in the embedding space, at most `most`.
///
/// # Errors
/// No member has an embedding space, or normals that all lie in one place.
pub fn principal_components(detector: &Detector, most: usize) -> Result<Pca> {
    pca(&embeddings_of(detector, Part::Train).ok_or_else(no_space)?, most)
}

/// Mean and standard deviation of each dimension of the embedding space over the training normals.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingMoments {
    /// `[dimensions]`.
    pub mean: Vec<f64>,
    /// `[dimensions]`, with n in the denominator, as in the distances of [`NearNormal`] and in the variances of [`Pca`].
    pub standard_deviations: Vec<f64>,
}

/// Mean and standard deviation of a detector's training normals in each dimension of the embedding space.
///
/// # Errors
/// No member has an embedding space.
pub fn embedding_moments(detector: &Detector) -> Result<EmbeddingMoments> {
    Ok(moments(&embeddings_of(detector, Part::Train).ok_or_else(no_space)?))
}

/// Embeddings of the normals of one part, in the order of the detector's [`normals`](Detector::normals); `None` if no
/// member has an embedding space.
pub fn embeddings_of(detector: &Detector, part: Part) -> Option<Vec<Vec<f32>>> {
    let embeddings = detector.normal_embeddings(detector.embedding_member()?)?;
    let normals = detector.normals().iter().zip(embeddings);
    Some(normals.filter(|(normal, _)| normal.part == part).map(|(_, embedding)| embedding.clone()).collect())
}

/// What decodes points of the embedding space that is shown.
pub(crate) fn decoder(detector: &Detector) -> Result<&dyn Decoder> {
    let member = detector.embedding_member().map(|at| &detector.members()[at].member);
    member.and_then(|member| member.decoder()).ok_or_else(|| {
        Error::data("expected a member that decodes points of its embedding space, found none")
    })
}

fn moments(points: &[Vec<f32>]) -> EmbeddingMoments {
    let dimensions = points.first().map_or(0, Vec::len);
    let average = |of: &dyn Fn(&[f32]) -> f64| {
        points.iter().map(|point| of(point)).sum::<f64>() / points.len().max(1) as f64
    };
    let mean: Vec<f64> = (0..dimensions).map(|at| average(&|point| f64::from(point[at]))).collect();
    let deviation = |at: usize| average(&|point| (f64::from(point[at]) - mean[at]).powi(2)).sqrt();
    EmbeddingMoments { standard_deviations: (0..dimensions).map(deviation).collect(), mean }
}

fn no_space() -> Error {
    Error::data("expected a member with an embedding space, found none")
}

fn wrong_length(expected: usize, found: usize) -> Error {
    Error::data(format!("expected a latent of {expected} numbers, found one of {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_numpy() {
        // a = np.array([[1, -2], [2, 0], [4, 7]]); a.mean(axis=0), a.std(axis=0)
        let found = moments(&[vec![1.0, -2.0], vec![2.0, 0.0], vec![4.0, 7.0]]);
        let expected =
            [2.333_333_333_333_333_5, 1.666_666_666_666_666_7, 1.247_219_128_924_647, 3.858_612_300_930_075];
        let close = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-14)
        };
        assert!(close(&found.mean, &expected[..2]), "{:?}", found.mean);
        assert!(close(&found.standard_deviations, &expected[2..]), "{:?}", found.standard_deviations);
    }

    #[test]
    fn no_points_have_no_dimensions() {
        assert_eq!(moments(&[]), EmbeddingMoments { mean: Vec::new(), standard_deviations: Vec::new() });
    }
}
