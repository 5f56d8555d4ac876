//! Errors of the library as exceptions of `aberra.errors`, with hint and path.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

/// An exception of the class in `aberra.errors` that stands for the kind of error.
pub(crate) fn exception(py: Python<'_>, error: &aberra::Error) -> PyErr {
    if error.is_interrupted() {
        return PyKeyboardInterrupt::new_err(error.to_string());
    }
    let class = match () {
        () if error.is_input() => "InputError",
        () if error.is_settings() => "SettingsError",
        () if error.is_detector() => "DetectorError",
        () if error.is_data() => "DataError",
        () if error.is_io() => "FileError",
        () => "AberraError",
    };
    named(py, class, &error.to_string(), error.hint(), error.path())
}

/// An exception of the class of this name in `aberra.errors`.
pub(crate) fn named(
    py: Python<'_>,
    class: &str,
    message: &str,
    hint: Option<&str>,
    path: Option<&std::path::Path>,
) -> PyErr {
    let make = || {
        let errors = py.import("aberra.errors")?;
        errors.getattr(class)?.call1((message, hint, path))
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}
