//! The statistics that scorers, calibration and evaluation rest on. Pure functions: no files, no clock, no random draw.

pub mod binomial;
