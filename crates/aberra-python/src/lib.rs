//! The native part of the Python package `aberra`: translates between Python's values and the library, and holds no maths.
//!
//! What has structure crosses as JSON of the library's wire types, pixels as the bytes of files or of little-endian floats;
//! the Python part (`python/aberra`) makes objects and arrays of them.

mod dataset;
mod detector;
mod error;
mod evaluation;
mod images;
mod job;
mod phantoms;
mod said;
mod threads;
mod training;
mod volumes;

use std::ffi::OsString;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _aberra {
    use super::*;

    #[pymodule_export]
    use crate::dataset::{Dataset, Sample, doctor, image_paths};
    #[pymodule_export]
    use crate::detector::{Detector, Scored};
    #[pymodule_export]
    use crate::evaluation::Evaluation;
    #[pymodule_export]
    use crate::images::count_pages;
    #[pymodule_export]
    use crate::phantoms::phantoms;
    #[pymodule_export]
    use crate::training::{settings_schema, train};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Runs the program `aberra` with its arguments, of which the first is its name; returns the exit status.
    #[pyfunction]
    fn program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| aberra_cli::main_with(arguments))
    }
}
