//! The numbers behind anomaly detection: ranking metrics with confidence intervals, conformal calibration, robust
//! regression, covariance with shrinkage, nearest neighbours, principal components, image filters, structural similarity,
//! and seeded random generators.
//!
//! Everything here is a pure function of its arguments: no tensors, no files, no clock, no environment, and no random
//! draw without a seed. The crate also defines the one [`Error`] type that all of Aberra's library crates return.

pub mod binomial;
pub mod bootstrap;
pub mod calibrate;
pub mod confusion;
pub mod covariance;
mod error;
pub mod filter;
pub mod neighbours;
pub mod pca;
pub mod percentile;
pub mod pixel;
pub mod random;
pub mod ranking;
pub mod regression;
pub mod ssim;
pub mod standardize;
pub mod text;
pub mod verdict;
pub mod weights;

pub use error::Error;

/// A value, or the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
