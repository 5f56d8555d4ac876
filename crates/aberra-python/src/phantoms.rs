//! Generated images of known truth, written as a data set.

use std::path::PathBuf;

use aberra::phantom::{PhantomDataset, Product, ProductDataset, write_dataset, write_products};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::job::run;

/// Writes phantom slices, or photographs of a product, to a folder, in the MVTec layout. The size is that of
/// slices; counts are those of normals to train on, normals to test on, and anomalies of each kind.
#[pyfunction]
pub(crate) fn phantoms(
    py: Python<'_>,
    folder: PathBuf,
    product: Option<&str>,
    seed: u64,
    size_px: usize,
    counts: (usize, usize, usize),
) -> PyResult<()> {
    let (train_normals, test_normals, anomalies_per_kind) = counts;
    if let Some(name) = product {
        let product = Product::ALL.iter().copied().find(|product| product.name() == name);
        let product = product.ok_or_else(|| PyValueError::new_err(format!("there is no product {name}")))?;
        let anomalies_per_defect = anomalies_per_kind;
        let settings = ProductDataset { product, seed, train_normals, test_normals, anomalies_per_defect };
        return run(py, None, None, move |_| write_products(&folder, &settings));
    }
    let settings = PhantomDataset { seed, size_px, train_normals, test_normals, anomalies_per_kind };
    run(py, None, None, move |_| write_dataset(&folder, &settings))
}
