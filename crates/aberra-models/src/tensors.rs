//! A module's weights by name: collected for saving, replaced when loading.

use std::collections::BTreeMap;

use aberra_metrics::{Error, Result};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData, bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// A tensor outside any device: shape and values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// As many values as the product of the shape.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Weight>;

impl Weight {
    /// Rows of equal length as `[rows, length]`.
    pub fn from_rows(rows: &[Vec<f32>]) -> Self {
        Self { shape: vec![rows.len(), rows.first().map_or(0, Vec::len)], values: rows.concat() }
    }

    /// The rows of `[rows, length]`.
    ///
    /// # Errors
    /// A detector error where there are not two axes, or no columns.
    pub fn into_rows(self, name: &str) -> Result<Vec<Vec<f32>>> {
        match self.shape[..] {
            [_, length] if length > 0 => Ok(self.values.chunks_exact(length).map(<[f32]>::to_vec).collect()),
            _ => Err(Error::detector(format!("{name}: expected two axes, found the shape {:?}", self.shape))),
        }
    }
}

/// All tensors of a safetensors file, in single precision; `what` they are of is said in errors.
///
/// # Errors
/// The bytes are no safetensors file, or a tensor is of another element type than F16, BF16 and F32.
pub(crate) fn read_safetensors(what: &str, file: &[u8]) -> Result<Tensors> {
    let file = SafeTensors::deserialize(file).map_err(|error| {
        Error::settings(format!(
            "{what}: expected a safetensors file, found one that is cut off or of another format ({error})"
        ))
    })?;
    let weight = |(name, view): (String, TensorView<'_>)| {
        let weight = Weight { shape: view.shape().to_vec(), values: safetensors_values(what, &name, &view)? };
        Ok((name, weight))
    };
    file.tensors().into_iter().map(weight).collect()
}

/// The tensors whose name begins with `prefix`, without it; the others stay in `tensors`.
pub fn take_prefixed(tensors: &mut Tensors, prefix: &str) -> Tensors {
    let names: Vec<String> = tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| Some((name[prefix.len()..].to_owned(), tensors.remove(&name)?)))
        .collect()
}

/// The tensors with `prefix` before each name.
pub fn prefixed(tensors: Tensors, prefix: &str) -> impl Iterator<Item = (String, Weight)> {
    tensors.into_iter().map(move |(name, weight)| (format!("{prefix}{name}"), weight))
}

/// The rows of a tensor's first axis, `count` of them, copied out of the device.
pub(crate) fn rows<const D: usize>(tensor: Tensor<D>, count: usize) -> Vec<Vec<f32>> {
    let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
    values.chunks_exact(values.len() / count).map(<[f32]>::to_vec).collect()
}

/// The nearest number of half precision, of those that a detector's file holds in two bytes; beyond their range the value itself.
pub(crate) fn half(value: f32) -> f32 {
    let half = f16::from_f32(value).to_f32();
    if half.is_finite() { half } else { value }
}

/// The one value of a tensor.
pub(crate) fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// The device that a module's weights are on.
pub(crate) fn device_of(module: &impl Module) -> Device {
    module.devices().into_iter().next().unwrap_or_default()
}

/// Every weight and running statistic under its path in the module, such as `network.encoder.0.weight`.
pub(crate) fn weights(module: &impl Module) -> Tensors {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.weights
}

/// `module` with its weights replaced.
///
/// # Errors
/// A weight that is missing, left over, of another shape, or not finite.
pub(crate) fn load_weights<M: Module>(module: M, mut weights: Tensors) -> Result<M> {
    let mut load = Load { weights: &mut weights, path: Vec::new(), problem: None };
    let module = module.map(&mut load);
    if let Some(problem) = load.problem {
        return Err(Error::detector(problem));
    }
    match weights.keys().next() {
        Some(extra) => Err(Error::detector(format!("the model has no weight called {extra}"))),
        None => Ok(module),
    }
}

/// `module` with its weights rounded to half precision, in which a detector's file then holds them.
///
/// # Errors
/// As [`load_weights`].
pub(crate) fn with_half_weights<M: Module>(module: M) -> Result<M> {
    let mut weights = weights(&module);
    weights.values_mut().flat_map(|weight| &mut weight.values).for_each(|value| *value = half(*value));
    load_weights(module, weights)
}

/// Number of values that training changes: every weight but the running statistics of batch normalisation.
pub(crate) fn count_parameters(module: &impl Module) -> usize {
    let trained = weights(module).into_iter().filter(|(name, _)| !name.contains(".running_"));
    trained.map(|(_, weight)| weight.values.len()).sum()
}

#[derive(Default)]
struct Collect {
    weights: Tensors,
    path: Vec<String>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let values = data.iter::<f32>().collect();
        self.weights.insert(self.path.join("."), Weight { shape, values });
    }
}

struct Load<'a> {
    weights: &'a mut Tensors,
    path: Vec<String>,
    problem: Option<String>,
}

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let Some(weight) = self.weights.remove(&name) else {
            self.problem.get_or_insert(format!("the weight {name} is missing"));
            return param;
        };
        let expected = param.val().dims();
        if weight.shape != expected {
            let found = &weight.shape;
            self.problem
                .get_or_insert(format!("the weight {name}: expected shape {expected:?}, found {found:?}"));
            return param;
        }
        if !weight.values.iter().all(|value| value.is_finite()) {
            self.problem.get_or_insert(format!("the weight {name} holds values that are not finite"));
            return param;
        }
        let (id, old, mapper) = param.consume();
        let requires_grad = old.is_require_grad();
        let data = TensorData::new(weight.values, weight.shape);
        let tensor = Tensor::from_data(data, &old.device()).set_require_grad(requires_grad);
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Takes a tensor of this shape with finite values.
///
/// # Errors
/// It is missing, of another shape, or not finite.
pub(crate) fn take(tensors: &mut Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let weight =
        tensors.remove(name).ok_or_else(|| Error::detector(format!("the tensor {name} is missing")))?;
    if weight.shape != shape || weight.values.iter().any(|value| !value.is_finite()) {
        return Err(Error::detector(format!(
            "{name}: expected finite values of the shape {shape:?}, found the shape {:?}",
            weight.shape
        )));
    }
    Ok(weight.values)
}

fn safetensors_values(what: &str, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let halves = view.data().as_chunks::<2>().0.iter().copied();
    match view.dtype() {
        Dtype::F16 => Ok(halves.map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect()),
        Dtype::BF16 => Ok(halves.map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect()),
        Dtype::F32 => Ok(view.data().as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()),
        other => Err(Error::settings(format!(
            "{what}: the weight {name}: expected elements of type F16, BF16 or F32, found {other}"
        ))),
    }
}
