//! Checking a backbone's weights.

use aberra_metrics::{Error, Result};

use crate::tensors::Tensors;

/// Takes the values of a weight.
///
/// # Errors
/// The weight is missing, of another shape, or not finite.
pub(super) fn take(tensors: &mut Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let Some(weight) = tensors.remove(name) else {
        return Err(Error::settings(format!("backbone: the weight {name} is missing"))
            .with_hint("a backbone has the names and shapes of EfficientNet-Lite0 up to block 10"));
    };
    if weight.shape != shape {
        return Err(Error::settings(format!(
            "backbone: the weight {name}: expected shape {shape:?}, found {:?}",
            weight.shape
        )));
    }
    match weight.values.iter().all(|value| value.is_finite()) {
        true => Ok(weight.values),
        false => {
            Err(Error::settings(format!("backbone: the weight {name} holds values that are not finite")))
        }
    }
}
