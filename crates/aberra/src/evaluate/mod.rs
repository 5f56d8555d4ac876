//! Metrics with confidence intervals on a labelled test split.

pub mod bootstrap;
pub mod metrics;
pub mod pixel;
