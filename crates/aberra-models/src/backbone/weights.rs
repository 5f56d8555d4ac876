//! Reading and checking a backbone's weights from the bytes of a safetensors file.

use aberra_metrics::{Error, Result};
use burn::tensor::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::tensors::{Tensors, Weight};

/// All tensors in single precision.
///
/// # Errors
/// The bytes are no safetensors file, or a tensor is of another element type than F16, BF16 and F32.
pub(super) fn read(file: &[u8]) -> Result<Tensors> {
    let file = SafeTensors::deserialize(file).map_err(|error| {
        Error::settings(format!(
            "backbone: expected a safetensors file, found one that is cut off or of another format ({error})"
        ))
    })?;
    let weight = |(name, view): (String, TensorView<'_>)| {
        let weight = Weight { shape: view.shape().to_vec(), values: values(&name, &view)? };
        Ok((name, weight))
    };
    file.tensors().into_iter().map(weight).collect()
}

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

fn values(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let halves = view.data().as_chunks::<2>().0.iter().copied();
    match view.dtype() {
        Dtype::F16 => Ok(halves.map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect()),
        Dtype::BF16 => Ok(halves.map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect()),
        Dtype::F32 => Ok(view.data().as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()),
        other => Err(Error::settings(format!(
            "backbone: the weight {name}: expected elements of type F16, BF16 or F32, found {other}"
        ))),
    }
}
