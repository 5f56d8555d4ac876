//! Metrics with confidence intervals on a labelled test split.

pub mod metrics;
