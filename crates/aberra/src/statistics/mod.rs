//! The statistics that scorers, calibration and evaluation rest on. Pure functions: no files, no clock, no random draw.

pub mod binomial;
pub mod covariance;
pub mod filter;
pub mod neighbours;
pub mod regression;
pub mod ssim;
