//! The training normals in a member's embedding space, and how far from them an image lies.

use aberra_metrics::covariance::{Cloud, Mahalanobis};
use aberra_metrics::neighbours::{Neighbour, nearest};
use aberra_metrics::{Error, Result};

use super::Descriptor;
use crate::graph::{Graph, Value};

/// Mahalanobis distance of the embedding to the training normals, Ledoit-Wolf covariance.
pub const MAHALANOBIS: Descriptor = Descriptor::unusual(
    "mahalanobis",
    "standard deviations",
    "Mahalanobis distance of the embedding to the training normals",
);
/// Mean distance of the embedding to its nearest training normals.
pub const NEIGHBOUR_DISTANCE: Descriptor = Descriptor::unusual(
    "neighbour_distance",
    "standard deviations",
    "mean distance of the embedding to its 5 nearest training normals",
);

/// Nearest training normals that the neighbour distance averages.
pub const NEIGHBOURS: usize = 5;

/// Dimensions that vary less than this over the training normals are unused by the member and are left out.
const UNUSED_VARIANCE: f64 = 1e-12;

/// Embeddings of the training normals, with the scale of each dimension and the Ledoit-Wolf covariance.
#[derive(Clone, Debug)]
pub struct Reference {
    embeddings: Vec<Vec<f32>>,
    scaled: Vec<f32>,
    scale: Vec<f32>,
    mahalanobis: Mahalanobis,
}

impl Reference {
    /// Fits scales and covariance to the embeddings of the training normals, each `[dimensions]`.
    ///
    /// # Errors
    /// Fewer than two, of differing lengths, or all the same.
    pub fn new(embeddings: Vec<Vec<f32>>) -> Result<Self> {
        let mu = &embeddings;
        let latent = mu.first().map_or(0, Vec::len);
        if mu.len() < 2 || latent == 0 || mu.iter().any(|mu| mu.len() != latent) {
            return Err(Error::data(format!(
                "expected the embeddings of at least 2 normals, found {}",
                mu.len()
            )));
        }
        let flat = mu.concat();
        let cloud = Cloud::ledoit_wolf(&flat, latent, None)?;
        let scale: Vec<f32> = (0..latent)
            .map(|dimension| {
                let squares = mu.iter().map(|mu| (f64::from(mu[dimension]) - cloud.mean[dimension]).powi(2));
                let variance = squares.sum::<f64>() / mu.len() as f64;
                if variance < UNUSED_VARIANCE { 0.0 } else { (1.0 / variance.sqrt()) as f32 }
            })
            .collect();
        let scaled = flat.iter().enumerate().map(|(index, value)| value * scale[index % latent]).collect();
        let mahalanobis = cloud.mahalanobis()?;
        Ok(Self { embeddings, scaled, scale, mahalanobis })
    }

    /// The embeddings it was made from, in their order.
    pub fn embeddings(&self) -> &[Vec<f32>] {
        &self.embeddings
    }

    /// Dimensions of the embedding space.
    pub fn dimensions(&self) -> usize {
        self.scale.len()
    }

    /// [`MAHALANOBIS`] and [`NEIGHBOUR_DISTANCE`] of an embedding.
    ///
    /// # Errors
    /// As [`mahalanobis`](Self::mahalanobis).
    pub fn measure(&self, embedding: &[f32]) -> Result<[f64; 2]> {
        Ok([self.mahalanobis(embedding)?, self.neighbour_distance(embedding)?])
    }

    /// Mahalanobis distance under the Ledoit-Wolf covariance (2004), in standard deviations.
    ///
    /// # Errors
    /// An embedding of another length, or not finite.
    pub fn mahalanobis(&self, mu: &[f32]) -> Result<f64> {
        self.mahalanobis.distance(mu).ok_or_else(|| {
            Error::data(format!("expected an embedding of {} finite values, found {mu:?}", self.scale.len()))
        })
    }

    /// Mean Euclidean distance to the [`NEIGHBOURS`] nearest training normals, each dimension in units of its standard
    /// deviation.
    ///
    /// # Errors
    /// As [`mahalanobis`](Self::mahalanobis).
    pub fn neighbour_distance(&self, mu: &[f32]) -> Result<f64> {
        let found = self.nearest(mu, NEIGHBOURS)?;
        Ok(found.iter().map(|neighbour| neighbour.distance).sum::<f64>() / found.len() as f64)
    }

    /// The nearest training normals, at most `count`, nearest first.
    ///
    /// # Errors
    /// As [`mahalanobis`](Self::mahalanobis).
    pub fn nearest(&self, mu: &[f32], count: usize) -> Result<Vec<Neighbour>> {
        let query: Vec<f32> = mu.iter().zip(&self.scale).map(|(value, scale)| value * scale).collect();
        let known = self.scaled.len() / self.scale.len();
        nearest(&query, &self.scaled, count.min(known), None)
    }

    /// [`measure`](Self::measure) of `[dimensions]` in a graph.
    pub(crate) fn measure_graph(&self, graph: &mut Graph, embedding: Value) -> [Value; 2] {
        let mahalanobis = mahalanobis_graph(graph, &self.mahalanobis, embedding);
        // From the middle of the normals, so that squares of far-off positions do not swallow what differs.
        let mean = self.mahalanobis.mean();
        let middle: Vec<f32> = mean.iter().map(|&mean| mean as f32).collect();
        let dimensions = self.dimensions();
        let known = self.embeddings.iter().flat_map(|embedding| {
            let each = embedding.iter().zip(mean).zip(&self.scale);
            each.map(|((value, mean), scale)| ((f64::from(*value) - mean) * f64::from(*scale)) as f32)
        });
        let known: Vec<f32> = known.collect();
        let count = self.embeddings.len();
        let mut transposed = vec![0.0; known.len()];
        let mut squares = vec![0.0; count];
        for (row, values) in known.chunks_exact(dimensions).enumerate() {
            squares[row] = values.iter().map(|value| value * value).sum();
            values.iter().enumerate().for_each(|(at, value)| transposed[at * count + row] = -2.0 * value);
        }
        let (middle, scale) =
            (graph.constant(&[dimensions], &middle), graph.constant(&[dimensions], &self.scale));
        let centered = graph.subtract(embedding, middle);
        let query = graph.multiply(centered, scale);
        // |q - k|^2 less |q|^2 finds the nearest; their distances are then those of the differences.
        let distances = graph.affine(query, &transposed, &squares);
        let nearest = graph.positions_of_smallest(distances, NEIGHBOURS.min(count));
        let known = graph.constant(&[count, dimensions], &known);
        let nearest = graph.rows_at(known, nearest);
        let query = graph.reshape(query, &[1, dimensions]);
        let differences = graph.subtract(nearest, query);
        let squares = graph.square(differences);
        let squares = graph.sum(squares, &[1]);
        let distances = graph.sqrt(squares);
        [mahalanobis, graph.mean(distances, &[0])]
    }
}

/// [`Mahalanobis::distance`] of `[dimensions]` in a graph.
pub(crate) fn mahalanobis_graph(graph: &mut Graph, from: &Mahalanobis, point: Value) -> Value {
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
    let dimensions = from.mean().len();
    let mean = graph.constant(&[dimensions], &narrow(from.mean()));
    let whitening = narrow(&from.factor().inverse_transposed());
    let whitening = graph.constant(&[dimensions, dimensions], &whitening);
    let centered = graph.subtract(point, mean);
    let whitened = graph.matmul(centered, whitening);
    let squares = graph.square(whitened);
    let sum = graph.sum(squares, &[0]);
    graph.sqrt(sum)
}
