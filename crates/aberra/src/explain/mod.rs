//! Verdicts and detectors to look at: heat maps, sheets of triples, an image's story, and what an embedding space holds.
//!
//! One colour scale everywhere, anchored at the detector's pixel threshold, so that two pictures can be compared.

mod embedding;
mod find;
mod heatmap;
mod outline;
mod picture;
mod ranks;
mod sheet;
mod story;

pub use aberra_metrics::pca::{Pca, pca};
pub use embedding::{
    EmbeddingMoments, NearNormal, decode, draw_from_prior, embedding_moments, embeddings_of, nearest,
    principal_components, prior_samples, traversal,
};
pub use find::{FoundNormal, find_normals};
pub use heatmap::{heat_color, heat_map_png};
pub use outline::outline;
pub use picture::story_png;
pub use ranks::EvidenceRanks;
pub use sheet::sheet_png;
pub use story::{Measurement, NEAREST, Story, anomalous_share};

pub(crate) use embedding::decoder;
