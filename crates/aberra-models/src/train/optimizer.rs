//! Adam over a model's weights (Kingma and Ba, 2015; decoupled decay: Loshchilov and Hutter, 2019), with its state by
//! weight name so that it can be saved.

use std::collections::BTreeMap;

use aberra_kernels::{AdamStep, adam_step, sum_of_squares};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::tensors::{Weight, device_of, scalar};

/// First and second moments of each weight's gradient, flattened, and the number of steps taken.
#[derive(Default)]
pub(super) struct Optimizer {
    pub(super) step: u32,
    moments: BTreeMap<String, (Tensor<1>, Tensor<1>)>,
}

impl Optimizer {
    /// One step. The gradients are scaled so that the norm over all of them is at most `largest_norm` (0: no limit).
    pub(super) fn step<M: Module>(
        &mut self,
        model: M,
        gradients: &mut Gradients,
        learning_rate: f64,
        weight_decay: f64,
        largest_norm: f64,
    ) -> M {
        self.step += 1;
        let mut gradient_scale = 1.0;
        if largest_norm > 0.0 {
            let mut norm = SquaredNorm { gradients, sum: 0.0 };
            model.visit(&mut norm);
            gradient_scale = (largest_norm / norm.sum.sqrt()).min(1.0) as f32;
        }
        let settings = AdamStep {
            weight_decay: weight_decay as f32,
            gradient_scale,
            ..AdamStep::new(learning_rate as f32, self.step)
        };
        model.map(&mut Update { moments: &mut self.moments, gradients, settings, path: Vec::new() })
    }

    /// The moments by weight name.
    pub(super) fn moments(&self) -> BTreeMap<String, [Weight; 2]> {
        let weight = |tensor: &Tensor<1>| {
            let data = tensor.clone().into_data();
            Weight { shape: data.shape().to_vec(), values: data.iter::<f32>().collect() }
        };
        self.moments
            .iter()
            .map(|(name, (first, second))| (name.clone(), [weight(first), weight(second)]))
            .collect()
    }

    /// An optimiser as it was after `step` steps.
    pub(super) fn restore(step: u32, moments: BTreeMap<String, [Weight; 2]>, model: &impl Module) -> Self {
        let device = device_of(model).without_autodiff();
        let tensor =
            |weight: Weight| Tensor::from_data(TensorData::new(weight.values, weight.shape), &device);
        let moments =
            moments.into_iter().map(|(name, [first, second])| (name, (tensor(first), tensor(second))));
        Self { step, moments: moments.collect() }
    }
}

struct SquaredNorm<'a> {
    gradients: &'a Gradients,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.sum += scalar(sum_of_squares(gradient));
        }
    }
}

struct Update<'a> {
    moments: &'a mut BTreeMap<String, (Tensor<1>, Tensor<1>)>,
    gradients: &'a mut Gradients,
    settings: AdamStep,
    path: Vec<String>,
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = tensor.grad_remove(self.gradients) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let length: usize = shape.iter().product();
        let weight = tensor.inner();
        let (first, second) = self.moments.remove(&self.path.join(".")).unwrap_or_else(|| {
            let zeros = || Tensor::zeros([length], &weight.device());
            (zeros(), zeros())
        });
        let [weight, first, second] =
            adam_step(weight.reshape([length]), gradient.reshape([length]), first, second, self.settings);
        self.moments.insert(self.path.join("."), (first, second));
        let weight = Tensor::from_inner(weight.reshape(shape)).require_grad();
        Param::from_mapped_value(id, weight, mapper)
    }
}
