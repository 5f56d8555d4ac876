//! Generated images of known truth, written as a data set.

use std::path::PathBuf;

use aberra::phantom::{PhantomDataset, write_dataset};
use pyo3::prelude::*;

use crate::job::run;

/// Writes phantom slices to a folder, in the MVTec layout.
#[pyfunction]
pub(crate) fn phantoms(
    py: Python<'_>,
    folder: PathBuf,
    seed: u64,
    size_px: usize,
    train_normals: usize,
    test_normals: usize,
    anomalies_per_kind: usize,
) -> PyResult<()> {
    let settings = PhantomDataset { seed, size_px, train_normals, test_normals, anomalies_per_kind };
    run(py, None, None, move |_| write_dataset(&folder, &settings))
}
