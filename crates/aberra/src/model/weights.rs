//! A model's weights by name: out for saving, in for loading.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use super::Model;
use crate::{Error, Result};

/// A weight's shape and values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weight {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Every weight and running statistic under its path in the model, such as `network.encoder.0.weight`.
pub(crate) fn weights(model: &Model) -> BTreeMap<String, Weight> {
    let mut collect = Collect::default();
    model.visit(&mut collect);
    collect.weights
}

/// `model` with its weights replaced.
///
/// # Errors
/// A weight that is missing, left over, of another shape, or not finite.
pub(crate) fn load_weights(model: Model, mut weights: BTreeMap<String, Weight>) -> Result<Model> {
    let mut load = Load { weights: &mut weights, path: Vec::new(), problem: None };
    let model = model.map(&mut load);
    if let Some(problem) = load.problem {
        return Err(Error::detector(problem));
    }
    match weights.keys().next() {
        Some(extra) => Err(Error::detector(format!("the model has no weight called {extra}"))),
        None => Ok(model),
    }
}

/// Number of values that training changes: every weight but the running statistics of batch normalisation.
pub(super) fn count_parameters(model: &Model) -> usize {
    let trained = weights(model).into_iter().filter(|(name, _)| !name.contains(".running_"));
    trained.map(|(_, weight)| weight.values.len()).sum()
}

#[derive(Default)]
struct Collect {
    weights: BTreeMap<String, Weight>,
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
    weights: &'a mut BTreeMap<String, Weight>,
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
