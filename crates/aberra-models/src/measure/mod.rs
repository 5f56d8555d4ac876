//! Measurements on an image: descriptors, and the measurements that families share.
//!
//! A member states its measurements as [`Descriptor`]s and returns one value for each in an [`Inference`].

pub mod context;
mod descriptor;
mod inference;
pub(crate) mod pooling;
pub mod reconstruction;
pub(crate) mod reconstruction_graph;
pub mod reference;

pub use self::descriptor::{Descriptor, Direction};
pub use self::inference::{Embedding, Inference, Want};
pub use self::pooling::{mean_of_largest, mean_of_largest_graph};
